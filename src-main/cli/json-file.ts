import { readFile } from 'node:fs/promises';
import { Failure } from '../base/failure.ts';

/**
 * A JSON file that the command line names.
 * @param what it is, to begin the sentence with
 * @throws Failure `usage` where it cannot be read or is no JSON
 */
export async function readJsonFile(path: string, what: string): Promise<unknown> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    throw new Failure('usage', `${what} "${path}" cannot be read: check that the file is there.`, { cause: error });
  });
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw new Failure('usage', `${what} "${path}" is not JSON: ${error instanceof Error ? error.message : ''}.`, {
      cause: error,
    });
  }
}

import { readFile } from 'node:fs/promises';
import { Failure } from '../../base/failure.ts';
import { errorCode } from '../../workspace/atomic.ts';

/**
 * The lines of a text file, without trailing empty ones; undefined where there is no such file.
 * @throws Failure `dataset` where it may not be read
 */
export async function readLines(path: string): Promise<string[] | undefined> {
  try {
    const text = await readFile(path, 'utf8');
    const lines = text
      .replace(/^\ufeff/, '')
      .split('\n')
      .map((line) => line.trimEnd());
    while (lines.at(-1) === '') lines.pop();
    return lines;
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw new Failure('dataset', `"${path}" cannot be read: check its permissions.`, { cause: error });
  }
}

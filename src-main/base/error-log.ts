import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { makeFolder } from './make-folder.ts';

/** Writes an error with its stack to a file of its own under `folder`, else under the system's temporary folder. */
export async function writeLog(folder: string | undefined, error: unknown, what: readonly string[]): Promise<string> {
  const name = `sidetune-${new Date().toISOString().replaceAll(/[:.]/g, '-')}-${process.pid}.log`;
  const text = [
    `time: ${new Date().toISOString()}`,
    `command: ${JSON.stringify(what)}`,
    `node ${process.version}, ${process.platform} ${process.arch}`,
    '',
    inspect(error, { depth: 6 }),
    '',
  ].join('\n');
  for (const place of [folder, tmpdir()]) {
    if (place === undefined) continue;
    try {
      await makeFolder(place);
      await writeFile(join(place, name), text);
      return join(place, name);
    } catch {
      // A workspace that cannot be written to may be what the error is about.
    }
  }
  return 'no file: neither the workspace nor the temporary folder can be written to';
}

import { stat } from 'node:fs/promises';

/**
 * Tells whether a file is the one that was looked at before: one that is replaced as a whole, by renaming, and one that
 * grows have another stamp. Empty where there is none.
 */
export function fileStamp(path: string): Promise<string> {
  return stat(path).then(
    ({ ino, mtimeMs, size }) => `${ino} ${mtimeMs} ${size}`,
    () => '',
  );
}

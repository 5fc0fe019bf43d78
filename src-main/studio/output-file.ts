/** Files that a user asks for by path. */
import { stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { Failure } from '../base/failure.ts';

/**
 * Checks early that a file can stand at a path. @returns it, absolute
 * @throws Failure `bad-out` where a folder is in its place, or a file is in that of its folder
 */
export async function checkOutputFile(path: string): Promise<string> {
  const whole = resolve(path);
  if ((await stat(whole).catch(() => undefined))?.isDirectory())
    throw new Failure('bad-out', `"${whole}" is a folder: give the name of a file in it.`);
  const folder = await stat(dirname(whole)).catch(() => undefined);
  if (folder && !folder.isDirectory())
    throw new Failure('bad-out', `"${dirname(whole)}" is a file and can hold no other: choose another place.`);
  return whole;
}

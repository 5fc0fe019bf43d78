import { readdir, rm, rmdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { makeFolder } from '../base/make-folder.ts';
import { isLeftOver, temporaryName } from '../workspace/atomic.ts';
import { isHeld } from '../workspace/lock.ts';
import { sweepTemporaries } from '../workspace/sweep.ts';
import { LOCK_FILE } from './folder-locks.ts';

/**
 * Does a task while feature folders are marked as being used by this process, so that nobody clears them meanwhile. The
 * marks of a process that was killed count for nothing, and are swept away when the folder is used again.
 */
export async function whileInUse<T>(folders: readonly string[], task: () => Promise<T>): Promise<T> {
  const marks = folders.map((folder) => temporaryName(join(folder, 'in-use')));
  try {
    // On a disk that takes no mark the task may still do; if not, it says why itself.
    for (const mark of marks) await makeMark(mark).catch(() => undefined);
    return await task();
  } finally {
    for (const mark of marks) await rm(mark, { force: true });
    // One that nothing was put into.
    for (const folder of folders) await rmdir(folder).catch(() => undefined);
  }
}

async function makeMark(path: string): Promise<void> {
  const folder = dirname(path);
  await makeFolder(folder);
  await sweepTemporaries(folder);
  await writeFile(path, '');
}

/** Whether a living process reads from a feature folder, or writes into it. */
export async function isInUse(folder: string): Promise<boolean> {
  const names = await readdir(folder).catch(() => []);
  const marked = names.some((name) => /^\..*\.tmp$/s.test(name) && !isLeftOver(name));
  return marked || isHeld(join(folder, LOCK_FILE));
}

import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { errorCode } from './atomic.ts';

/** What `temporaryName` makes; the number is the process's. */
const temporary = /^\..*\.(\d+)\.[0-9a-f]{8}\.tmp$/s;

/**
 * Removes what processes that are no more have left in `folder` under temporary names. Those of living processes stay,
 * and so does everything else; a folder that does not exist has nothing to remove.
 */
export async function sweepTemporaries(folder: string): Promise<void> {
  const names = await readdir(folder).catch(() => []);
  const left = names.filter((name) => {
    const owner = temporary.exec(name)?.[1];
    return owner !== undefined && !isAlive(Number(owner));
  });
  await Promise.all(left.map((name) => rm(join(folder, name), { recursive: true, force: true })));
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // Any other error (no permission) says that there is such a process.
    return errorCode(error) !== 'ESRCH';
  }
}

import { mkdir, open, readFile, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { errorCode } from './atomic.ts';

/**
 * Takes the lock file at `path` for this process.
 * @returns how to give it back; undefined when another process that is alive holds it
 */
export async function takeLock(path: string): Promise<(() => Promise<void>) | undefined> {
  await mkdir(dirname(path), { recursive: true });
  for (;;) {
    try {
      const file = await open(path, 'wx');
      await file.writeFile(String(process.pid));
      await file.close();
      return () => rm(path, { force: true });
    } catch (error) {
      if (errorCode(error) !== 'EEXIST') throw error;
    }
    if (await isHeld(path)) return undefined;
    // Left behind by a process that is gone.
    await rm(path, { force: true });
  }
}

/** Whether a living process holds the lock. */
export async function isHeld(path: string): Promise<boolean> {
  const holder = Number(await readFile(path, 'utf8').catch(() => ''));
  if (!Number.isInteger(holder) || holder <= 0) return false;
  if (holder === process.pid) return true;
  try {
    process.kill(holder, 0);
    return true;
  } catch (error) {
    return errorCode(error) === 'EPERM';
  }
}

import { link, open, readFile, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { Failure } from '../base/failure.ts';
import { makeFolder } from '../base/make-folder.ts';
import { isRunning, thisProcess } from '../base/process-identity.ts';
import { diskFull, errorCode, temporaryName } from './atomic.ts';

/*
 * A lock is a file that says which process holds it: its number, and when it started where the system tells. The file
 * appears with that content in one step and stays behind when the process is killed; whoever comes next takes it over.
 */

/** The locks that this process holds: its number alone may be that of an earlier one. */
const held = new Set<string>();
const RETRY_MS = 50;

/**
 * Takes the lock file at `path` for this process.
 * @returns how to give it back; undefined when another process that is alive, or another task of this one, holds it
 */
export async function takeLock(path: string): Promise<(() => Promise<void>) | undefined> {
  if (held.has(path)) return undefined;
  // Before anything else, so that of two tasks of this process one is refused at once.
  held.add(path);
  let taken = false;
  const offer = temporaryName(path);
  try {
    await makeFolder(dirname(path));
    await writeHolder(offer);
    for (;;) {
      taken = await claim(offer, path);
      if (taken) break;
      const holder = await readHolder(path);
      if (runsElsewhere(holder)) return undefined;
      await removeAbandoned(path, holder);
    }
  } catch (error) {
    throw diskFull(error, path);
  } finally {
    if (!taken) held.delete(path);
    await rm(offer, { force: true });
  }
  return async () => {
    await rm(path, { force: true });
    held.delete(path);
  };
}

/**
 * Does a task while holding the lock at `path`, which others hold for moments only.
 * @throws Failure `busy` where it is still held after `patienceMs`, naming the file; the signal's reason
 */
export async function withLock<T>(
  path: string,
  task: () => Promise<T>,
  { patienceMs = 30_000, signal }: { patienceMs?: number; signal?: AbortSignal } = {},
): Promise<T> {
  const release = await waitForLock(path, patienceMs, signal);
  if (!release)
    throw new Failure(
      'busy',
      `Another process has held "${path}" for ${patienceMs / 1000} seconds: wait for it to end and try again.`,
    );
  try {
    return await task();
  } finally {
    await release();
  }
}

async function waitForLock(path: string, patienceMs: number, signal?: AbortSignal): ReturnType<typeof takeLock> {
  const until = performance.now() + patienceMs;
  for (;;) {
    const release = await takeLock(path);
    if (release || performance.now() >= until) return release;
    await pause(RETRY_MS, undefined, { signal });
  }
}

/** Whether a living process holds the lock. */
export async function isHeld(path: string): Promise<boolean> {
  return held.has(path) || runsElsewhere(await readHolder(path));
}

async function writeHolder(path: string): Promise<void> {
  const file = await open(path, 'wx');
  try {
    await file.writeFile([thisProcess.pid, thisProcess.start].filter((part) => part !== undefined).join(' '));
  } finally {
    await file.close();
  }
}

async function claim(offer: string, path: string): Promise<boolean> {
  try {
    await link(offer, path);
    return true;
  } catch (error) {
    if (errorCode(error) === 'EEXIST') return false;
    if (!['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK'].includes(errorCode(error))) throw error;
  }
  // A file system without hard links: for the moment between these two the lock says nothing.
  try {
    await writeHolder(path);
    return true;
  } catch (error) {
    if (errorCode(error) !== 'EEXIST') throw error;
    return false;
  }
}

/** What the lock says; the empty string where there is none. */
function readHolder(path: string): Promise<string> {
  return readFile(path, 'utf8').catch(() => '');
}

/** Whether the holder is another process that is running. One of our number was before us. */
function runsElsewhere(holder: string): boolean {
  const [, pid, start] = /^(\d{1,10})(?: (\d+))?$/.exec(holder) ?? [];
  if (pid === undefined || Number(pid) === 0 || Number(pid) === thisProcess.pid) return false;
  return isRunning(Number(pid), start);
}

/** Removes the lock of a process that is gone, and none that was taken meanwhile. */
async function removeAbandoned(path: string, holder: string): Promise<void> {
  const aside = temporaryName(path);
  try {
    await rename(path, aside);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return;
    throw error;
  }
  if ((await readHolder(aside)) !== holder) await link(aside, path).catch(() => undefined);
  await rm(aside, { force: true });
}

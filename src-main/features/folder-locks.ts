import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { TaskOptions } from '../base/progress.ts';
import { takeLock } from '../workspace/lock.ts';

export const LOCK_FILE = 'lock';
const RETRY_MS = 200;

/**
 * Does a task that writes into feature folders while nobody else does: others that hold one are waited for, as long as
 * they live.
 * @throws the signal's reason
 */
export async function withFolders<T>(
  folders: readonly string[],
  options: TaskOptions,
  task: () => Promise<T>,
): Promise<T> {
  const releases: (() => Promise<void>)[] = [];
  try {
    // In the same order everywhere, so that no two wait for each other.
    for (const folder of folders.toSorted()) releases.push(await waitFor(join(folder, LOCK_FILE), options));
    return await task();
  } finally {
    for (const release of releases) await release();
  }
}

async function waitFor(path: string, { onProgress, signal }: TaskOptions): Promise<() => Promise<void>> {
  for (;;) {
    signal?.throwIfAborted();
    const release = await takeLock(path);
    if (release) return release;
    onProgress?.({ task: 'waiting for another process that extracts these features', done: 0, total: 1, unit: 'sets' });
    await pause(RETRY_MS, undefined, { signal }).catch(() => undefined);
  }
}

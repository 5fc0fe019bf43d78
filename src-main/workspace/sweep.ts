import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { isLeftOver } from './atomic.ts';

/**
 * Removes what processes that are no more have left in `folder` under temporary names. Those of living processes stay,
 * and so does everything else; a folder that does not exist has nothing to remove.
 */
export async function sweepTemporaries(folder: string): Promise<void> {
  const names = await readdir(folder).catch(() => []);
  const left = names.filter(isLeftOver);
  await Promise.all(left.map((name) => rm(join(folder, name), { recursive: true, force: true })));
}

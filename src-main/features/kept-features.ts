/** What the feature cache holds, and how it is emptied. */
import { readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { temporaryName } from '../workspace/atomic.ts';
import { takeLock } from '../workspace/lock.ts';
import { sweepTemporaries } from '../workspace/sweep.ts';
import type { Workspace } from '../workspace/workspace.ts';
import { LOCK_FILE } from './folder-locks.ts';
import { isInUse } from './folders-in-use.ts';

/** The features of one list of images, in a folder of their own. */
export interface KeptFeatures {
  /** Name of the folder. */
  key: string;
  bytes: number;
  /** Images, backbone's name, and folder that the images lay in; null where the folder does not say (it is not whole yet). */
  images: number | null;
  backbone: string | null;
  source: string | null;
  /** Whether a running task needs them. */
  inUse: boolean;
}

const aboutSchema = z.object({ backbone: z.string(), images: z.int(), source: z.string() });

export async function listKeptFeatures(workspace: Workspace): Promise<KeptFeatures[]> {
  const keys = await workspace.list('features');
  return Promise.all(
    keys.map(async (key) => {
      const folder = workspace.feature(key);
      const about = await readAbout(join(folder, 'about.json'));
      return {
        key,
        bytes: await sizeOf(folder),
        images: about?.images ?? null,
        backbone: about?.backbone ?? null,
        source: about?.source ?? null,
        inUse: await isInUse(folder),
      };
    }),
  );
}

/**
 * Deletes folders of features, but for those that a running task needs. What is deleted is extracted anew when it is
 * needed again.
 * @returns the keys of those that were deleted
 */
export async function clearKeptFeatures(workspace: Workspace, keys: readonly string[]): Promise<string[]> {
  await sweepTemporaries(workspace.features);
  const cleared: string[] = [];
  for (const key of keys) {
    const folder = workspace.feature(key);
    if (await isInUse(folder)) continue;
    // Held while it goes, so that nobody starts writing into it.
    const release = await takeLock(join(folder, LOCK_FILE));
    if (!release) continue;
    const doomed = temporaryName(folder);
    await rename(folder, doomed);
    await release();
    await rm(doomed, { recursive: true, force: true });
    cleared.push(key);
  }
  return cleared;
}

async function readAbout(path: string): Promise<z.infer<typeof aboutSchema> | undefined> {
  try {
    return aboutSchema.parse(JSON.parse(await readFile(path, 'utf8')));
  } catch {
    return undefined;
  }
}

async function sizeOf(folder: string): Promise<number> {
  let bytes = 0;
  for (const name of await readdir(folder).catch(() => [])) {
    const found = await stat(join(folder, name)).catch(() => undefined);
    bytes += found?.size ?? 0;
  }
  return bytes;
}

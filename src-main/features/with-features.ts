import { rm } from 'node:fs/promises';
import { Failure } from '../base/failure.ts';
import type { TaskOptions } from '../base/progress.ts';
import type { Workspace } from '../workspace/workspace.ts';
import { cachedFiles } from './extract.ts';
import { withFolders } from './folder-locks.ts';
import { whileInUse } from './folders-in-use.ts';
import { provideFeatures, type FeatureRequest, type ProvidedFeatures } from './provide-features.ts';
import { RowFileReader } from './row-file.ts';

/**
 * Does with features what `use` does. Where damage is found in the cache, be it while they are used, all files of the
 * request are read through, the damaged ones deleted, and `use` is called once more with what is extracted anew.
 * @throws Failure of `provideFeatures`, and whatever `use` throws
 */
export function withFeatures<T>(
  workspace: Workspace,
  request: FeatureRequest,
  options: TaskOptions,
  use: (provided: ProvidedFeatures) => Promise<T>,
): Promise<T> {
  return whileInUse(foldersOf(workspace, request), () => withWholeFeatures(workspace, request, options, use));
}

async function withWholeFeatures<T>(
  ...[workspace, request, options, use]: Parameters<typeof withFeatures<T>>
): Promise<T> {
  try {
    return await use(await provideFeatures(workspace, request, options));
  } catch (error) {
    if (!(error instanceof Failure) || error.code !== 'damaged-features') throw error;
    const deleted = await deleteDamaged(workspace, request, options);
    if (deleted.length === 0) throw error;
    for (const path of deleted)
      options.onRemark?.(`The feature file "${path}" was damaged: it is deleted, and extracted anew.`);
  }
  return use(await provideFeatures(workspace, request, options));
}

/** @returns the paths of the files that were deleted */
async function deleteDamaged(workspace: Workspace, request: FeatureRequest, options: TaskOptions): Promise<string[]> {
  const files = filesOf(workspace, request);
  return withFolders(foldersOf(workspace, request), options, async () => {
    const deleted: string[] = [];
    for (const { path, images } of files) {
      if (!(await isDamaged(path, images, options.signal))) continue;
      await rm(path);
      deleted.push(path);
    }
    return deleted;
  });
}

/** None without a cache. */
function filesOf(workspace: Workspace, { cache, ...request }: FeatureRequest): ReturnType<typeof cachedFiles> {
  return cache === 'none' ? [] : cachedFiles(workspace, { ...request, storage: cache });
}

function foldersOf(workspace: Workspace, request: FeatureRequest): string[] {
  return [...new Set(filesOf(workspace, request).map(({ folder }) => folder))];
}

async function isDamaged(path: string, images: number, signal: AbortSignal | undefined): Promise<boolean> {
  try {
    const file = await RowFileReader.open(path);
    try {
      if (file.rows !== images) return true;
      for (const column of file.columns) {
        const row = new Uint8Array(file.rowBytes(column));
        for (let index = 0; index < images; index++) {
          signal?.throwIfAborted();
          await file.read(column, index, row);
        }
      }
      return false;
    } finally {
      await file.close();
    }
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    // One that is missing is made anyway.
    return error.code === 'damaged-features';
  }
}

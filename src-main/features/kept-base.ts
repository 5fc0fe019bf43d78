import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { temporaryName } from '../workspace/atomic.ts';
import { BASE_FILE, baseColumns, type CachedSet, type LiveSet } from './feature-set.ts';
import { LiveFeatures } from './live-features.ts';
import { RowFileWriter } from './row-file.ts';

/** Images that are read together. */
const BATCH = 32;

/**
 * Keeps the base vectors of a set that is not cached, few bytes an image, in a temporary file in `folder` for as long
 * as `use` takes: it may go over them as often as it likes, and the ViT runs once.
 */
export async function withKeptBase<T>(
  set: LiveSet,
  base: 'cls' | 'mean',
  folder: string,
  use: (kept: CachedSet) => Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  const path = temporaryName(join(folder, BASE_FILE));
  try {
    await keepBase(set, base, path, signal);
    const { images, tokens, width, hasCls } = set;
    return await use({ images, tokens, width, hasCls, storage: 'fp16', maps: {}, base: path });
  } finally {
    await rm(path, { force: true });
  }
}

async function keepBase(set: LiveSet, base: 'cls' | 'mean', path: string, signal?: AbortSignal): Promise<void> {
  const source = await LiveFeatures.open(set, { maps: [], rowSums: false, base });
  try {
    const name = `base_${base}`;
    const columns = baseColumns(set.width, set.hasCls).filter((column) => column.name === name);
    const file = await RowFileWriter.create(path, columns, set.images);
    try {
      const buffers = source.allocate(BATCH);
      for (let first = 0; first < set.images; first += BATCH) {
        signal?.throwIfAborted();
        const count = Math.min(BATCH, set.images - first);
        await source.read(
          Array.from({ length: count }, (_, index) => first + index),
          buffers,
        );
        await file.write(first, count, { [name]: buffers.base! });
      }
      await file.finish({});
    } catch (error) {
      await file.abandon();
      throw error;
    }
  } finally {
    await source.close();
  }
}

/** A few of a list's features as a feature set of their own. */
import { rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { exists } from '../base/exists.ts';
import { mapName, type MapRequest } from '../backbone/surgery.ts';
import { baseColumns, mapColumns, type CachedSet, type FeatureSet } from '../features/feature-set.ts';
import { RowFileReader, RowFileWriter, type RowTensor } from '../features/row-file.ts';
import { temporaryName } from '../workspace/atomic.ts';
import { sweepTemporaries } from '../workspace/sweep.ts';
import type { Workspace } from '../workspace/workspace.ts';

/** `count` of `total` places at even steps from the first on; all of them where there are no more. */
export function evenly(total: number, count: number): number[] {
  if (count >= total) return Array.from({ length: total }, (_, place) => place);
  return Array.from({ length: count }, (_, index) => Math.floor((index * total) / count));
}

/**
 * Copies the features of images `rows`, in ascending order, into a temporary folder of the workspace for as long as
 * `use` takes; where those are all, they are used where they lie, and where nothing is cached there is nothing to copy.
 * @throws Failure `damaged-features`, `disk-full`
 */
export async function withSampledFeatures<T>(
  workspace: Workspace,
  { set, maps, rows }: { set: FeatureSet; maps: readonly MapRequest[]; rows: readonly number[] },
  use: (sampled: FeatureSet) => Promise<T>,
): Promise<T> {
  if (rows.length === set.images) return use(set);
  if (set.storage === 'none') return use({ ...set, images: rows.length, files: rows.map((row) => set.files[row]!) });
  await sweepTemporaries(workspace.features);
  const folder = temporaryName(workspace.feature('sample'));
  const { tokens, width, hasCls, storage } = set;
  try {
    const copy = async (path: string, columns: readonly RowTensor[]): Promise<string> => {
      const target = join(folder, basename(path));
      await copyRows(path, target, columns, rows);
      return target;
    };
    const sampled: CachedSet = { ...set, images: rows.length, maps: {} };
    if (await exists(set.base)) sampled.base = await copy(set.base, baseColumns(width, hasCls));
    for (const name of maps.map(mapName)) {
      const { path, scale } = set.maps[name]!;
      sampled.maps[name] = { path: await copy(path, mapColumns(tokens, width, storage)), scale };
    }
    return await use(sampled);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function copyRows(
  source: string,
  target: string,
  columns: readonly RowTensor[],
  rows: readonly number[],
): Promise<void> {
  const reader = await RowFileReader.open(source);
  try {
    const writer = await RowFileWriter.create(target, columns, rows.length);
    try {
      for (const [place, row] of rows.entries()) {
        const data: Record<string, Uint8Array> = {};
        for (const { name } of columns) {
          data[name] = new Uint8Array(reader.rowBytes(name));
          await reader.read(name, row, data[name]);
        }
        await writer.write(place, 1, data);
      }
      await writer.finish({ ...reader.metadata });
    } catch (error) {
      await writer.abandon();
      throw error;
    }
  } finally {
    await reader.close();
  }
}

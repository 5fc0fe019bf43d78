/** Rows that the cache has of the same images in the folders of other lists: an image's features are its own. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { Failure } from '../base/failure.ts';
import { mapName } from '../backbone/surgery.ts';
import { writeFileAtomic } from '../workspace/atomic.ts';
import type { Workspace } from '../workspace/workspace.ts';
import { featureRecipe } from './feature-set.ts';
import { filesOf, writeRows, type FeatureOrigin, type Gap, type ListFiles } from './list-files.ts';
import { RowFileReader } from './row-file.ts';

const ROWS_FILE = 'rows.json';
const rowsSchema = z.object({ recipe: z.string(), images: z.array(z.string()) });

/** Rows that are read together. */
const CHUNK = 32;

/** A folder of the cache that has all that a gap lacks, of some of its images. */
export interface RowHolder {
  folder: string;
  /** By place in the gap's list: the row that its image has here. */
  rows: ReadonlyMap<number, number>;
  /** By map name: what its values are divided by. */
  scales: ReadonlyMap<string, number>;
}

/** Writes down whose rows a folder has. */
export async function recordRows({ folder, images }: Gap, origin: FeatureOrigin): Promise<void> {
  const rows: z.infer<typeof rowsSchema> = {
    recipe: featureRecipe(origin.backbone, origin.storage),
    images: images.map(({ sha256 }) => sha256),
  };
  await writeFileAtomic(join(folder, ROWS_FILE), JSON.stringify(rows));
}

/** By gap: the folders that have rows of its images, the one with most of them first. */
export async function findHolders(
  workspace: Workspace,
  gaps: readonly Gap[],
  origin: FeatureOrigin,
): Promise<RowHolder[][]> {
  const recipe = featureRecipe(origin.backbone, origin.storage);
  const holders: RowHolder[][] = gaps.map(() => []);
  if (gaps.length === 0) return holders;
  for (const key of await workspace.list('features')) {
    const folder = workspace.feature(key);
    const kept = await readRows(folder);
    if (kept?.recipe !== recipe) continue;
    const rowOf = new Map(kept.images.map((sha256, row) => [sha256, row]));
    for (const [index, gap] of gaps.entries()) {
      const holder = folder === gap.folder ? undefined : await holderOf(folder, rowOf, kept.images.length, gap);
      if (holder) holders[index]!.push(holder);
    }
  }
  return holders.map((each) => each.toSorted((a, b) => b.rows.size - a.rows.size));
}

/** Undefined where the folder has nothing for the gap. */
async function holderOf(
  folder: string,
  rowOf: ReadonlyMap<string, number>,
  images: number,
  gap: Gap,
): Promise<RowHolder | undefined> {
  const rows = new Map<number, number>();
  for (const [place, { sha256 }] of gap.images.entries()) {
    const row = rowOf.get(sha256);
    if (row !== undefined) rows.set(place, row);
  }
  const scales = rows.size > 0 ? await scalesOf(folder, gap, images) : undefined;
  return scales && { folder, rows, scales };
}

/** Places of a gap that one of its holders has. */
export function heldPlaces(holders: readonly RowHolder[]): Set<number> {
  return new Set(holders.flatMap(({ rows }) => [...rows.keys()]));
}

/** Copies into `files` the rows that holders have and that are divided by the same scales. What is damaged is left. */
export async function copyHeldRows(
  holders: readonly RowHolder[],
  files: ListFiles,
  signal?: AbortSignal,
): Promise<void> {
  for (const { folder, rows, scales } of holders) {
    if (files.files.some(({ metadata, scale }) => metadata.map && scales.get(metadata.map) !== scale)) continue;
    const places = files.remaining().filter((place) => rows.has(place));
    if (places.length === 0) continue;
    const readers: RowFileReader[] = [];
    try {
      for (const { name } of files.files) readers.push(await RowFileReader.open(join(folder, name)));
      for (let first = 0; first < places.length; first += CHUNK) {
        signal?.throwIfAborted();
        const some = places.slice(first, first + CHUNK);
        for (const [index, { writer }] of files.files.entries())
          await writeRows(
            writer,
            some,
            await readRowsOf(
              readers[index]!,
              some.map((place) => rows.get(place)!),
            ),
          );
        files.markDone(some);
      }
    } catch (error) {
      // It is mended when its own list is used; here these images go through the ViT.
      const lost = error instanceof Failure && ['damaged-features', 'missing-file'].includes(error.code);
      if (!lost) throw error;
    } finally {
      for (const reader of readers) await reader.close();
    }
  }
}

async function readRowsOf(reader: RowFileReader, rows: readonly number[]): Promise<Record<string, Uint8Array>> {
  const data: Record<string, Uint8Array> = {};
  for (const column of reader.columns) {
    const each = reader.rowBytes(column);
    const bytes = new Uint8Array(rows.length * each);
    data[column] = bytes;
    await Promise.all(
      rows.map((row, place) => reader.read(column, row, bytes.subarray(place * each, (place + 1) * each))),
    );
  }
  return data;
}

async function readRows(folder: string): Promise<z.infer<typeof rowsSchema> | undefined> {
  try {
    return rowsSchema.parse(JSON.parse(await readFile(join(folder, ROWS_FILE), 'utf8')));
  } catch {
    return undefined;
  }
}

/** Undefined where the folder lacks a file of the gap's, or has one that cannot be read or has other rows. */
async function scalesOf(folder: string, gap: Gap, images: number): Promise<Map<string, number> | undefined> {
  const scales = new Map<string, number>();
  for (const { name, map } of filesOf(gap)) {
    try {
      const file = await RowFileReader.open(join(folder, name));
      await file.close();
      if (file.rows !== images) return undefined;
      if (map) scales.set(mapName(map), Number(file.metadata.scale));
    } catch (error) {
      if (error instanceof Failure) return undefined;
      throw error;
    }
  }
  return scales;
}

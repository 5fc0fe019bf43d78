import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { exists } from '../base/exists.ts';
import type { Backbone } from '../backbone/catalogue.ts';
import { mapName, type MapRequest, type MapStorage } from '../backbone/surgery.ts';
import type { DatasetImage } from '../data/dataset.ts';
import { writeFileAtomic } from '../workspace/atomic.ts';
import { BASE_FILE, baseColumns, mapColumns, mapFileName } from './feature-set.ts';
import { RowFileWriter, type RowTensor } from './row-file.ts';
import type { TappedBatch, TappedMap } from './tapped-batch.ts';

/** A list of images of which some features have no file yet. */
export interface Gap {
  images: readonly DatasetImage[];
  folder: string;
  /** What has no file yet. */
  maps: readonly MapRequest[];
  base: boolean;
}

/** What the features of a list are made with. */
export interface FeatureOrigin {
  backbone: Backbone;
  /** Folder that the images' paths are relative to. */
  source: string;
  storage: MapStorage;
}

/** A file of a list, and its rows of a batch. */
interface ListFile {
  name: string;
  /** By which its values are divided; 1 for base vectors. */
  scale: number;
  writer: RowFileWriter;
  rowsOf: (batch: TappedBatch) => Record<string, ArrayBufferView>;
  metadata: Record<string, string>;
}

/** Names of the files that a gap wants, with the map that each is of. */
export function filesOf(gap: Gap): { name: string; map?: MapRequest }[] {
  return [...gap.maps.map((map) => ({ name: mapFileName(map), map })), ...(gap.base ? [{ name: BASE_FILE }] : [])];
}

/** The files that a gap lacks, while they are filled. What is in them is gone on with, whatever ends the filling. */
export class ListFiles {
  private constructor(
    private readonly gap: Gap,
    private readonly origin: FeatureOrigin,
    readonly files: readonly ListFile[],
    /** By place in the list: whether all files have its row. */
    private readonly done: Uint8Array,
  ) {}

  /**
   * Begins the files, or goes on with them. Their names say what they are divided by: those begun with other scales go.
   * @param maps what the batches have, in their order
   * @param scales of `maps`
   * @throws Failure `disk-full`
   */
  static async open(
    gap: Gap,
    origin: FeatureOrigin,
    maps: readonly MapRequest[],
    scales: readonly number[],
  ): Promise<ListFiles> {
    const { tokens, width, prefix } = origin.backbone.structure;
    const places = new Map(maps.map((map, index) => [mapName(map), index]));
    const done = new Uint8Array(gap.images.length).fill(1);
    const files: ListFile[] = [];
    try {
      for (const { name, map } of filesOf(gap)) {
        const place = map && places.get(mapName(map))!;
        const scale = place === undefined ? 1 : scales[place]!;
        await removeBegun(gap.folder, name, scale);
        const columns: RowTensor[] = map ? mapColumns(tokens, width, origin.storage) : baseColumns(width, prefix > 0);
        const part = join(gap.folder, partName(name, scale));
        const { writer, whole } = await RowFileWriter.resume(join(gap.folder, name), part, columns, done.length);
        files.push({
          name,
          scale,
          writer,
          rowsOf: (batch) => (place === undefined ? baseRows(batch) : mapRows(batch.maps[place]!)),
          metadata: map ? { map: mapName(map), scale: String(scale) } : {},
        });
        for (const [row, isWhole] of whole.entries()) done[row]! &= isWhole;
      }
      return new ListFiles(gap, origin, files, done);
    } catch (error) {
      for (const { writer } of files) await writer.keep();
      throw error;
    }
  }

  /** Places of the images whose rows some file lacks, in order. */
  remaining(): number[] {
    return Array.from(this.done.keys()).filter((place) => !this.done[place]);
  }

  async write(places: readonly number[], batch: TappedBatch): Promise<void> {
    for (const { writer, rowsOf } of this.files) await writeRows(writer, places, rowsOf(batch));
    this.markDone(places);
  }

  /** Says that the rows of these places have been written into each file. */
  markDone(places: readonly number[]): void {
    for (const place of places) this.done[place] = 1;
  }

  /** Gives the files their names; one that another process has finished meanwhile stays, as it may be being read. */
  async finish(provenance: Record<string, string>, more: Record<string, unknown> = {}): Promise<void> {
    const { folder, images } = this.gap;
    for (const { name, writer, metadata } of this.files) {
      if (await exists(join(folder, name))) await writer.abandon();
      else await writer.finish({ ...provenance, ...metadata });
    }
    const { source, backbone } = this.origin;
    const about = { ...provenance, images: images.length, source, preprocessing: backbone.preprocessing, ...more };
    await writeFileAtomic(join(folder, 'about.json'), `${JSON.stringify(about, null, 2)}\n`);
  }

  /** Leaves what is there for the next time. */
  async keep(): Promise<void> {
    for (const { writer } of this.files) await writer.keep();
  }

  async abandon(): Promise<void> {
    for (const { writer } of this.files) await writer.abandon();
  }
}

/** Rows `0 ..` of `data` at `places`, those that follow each other together. */
export async function writeRows(
  writer: RowFileWriter,
  places: readonly number[],
  data: Readonly<Record<string, ArrayBufferView>>,
): Promise<void> {
  for (let from = 0, to; from < places.length; from = to) {
    for (to = from + 1; places[to] === places[to - 1]! + 1;) to++;
    await writer.write(places[from]!, to - from, data, from);
  }
}

const partName = (name: string, scale: number): string => `${name}.${scale}.part`;

/** What a file was begun with, largest last; nothing where it was not. */
async function begunScales(folder: string, name: string): Promise<number[]> {
  const names = await readdir(folder).catch(() => []);
  return names
    .filter((each) => each.startsWith(`${name}.`) && each.endsWith('.part'))
    .map((each) => Number(each.slice(name.length + 1, -'.part'.length)))
    .toSorted((a, b) => a - b);
}

async function removeBegun(folder: string, name: string, butFor: number): Promise<void> {
  for (const scale of await begunScales(folder, name))
    if (scale !== butFor) await rm(join(folder, partName(name, scale)), { force: true });
}

/** Scale that a map's file was begun with; undefined where it was not begun. */
export async function begunScale({ folder }: Gap, map: MapRequest): Promise<number | undefined> {
  return (await begunScales(folder, mapFileName(map))).at(-1);
}

/** Bytes on the disk of files that were begun and not finished. */
export async function begunBytes(gap: Gap): Promise<number> {
  let bytes = 0;
  for (const { name } of filesOf(gap))
    for (const scale of await begunScales(gap.folder, name)) {
      const found = await stat(join(gap.folder, partName(name, scale))).catch(() => undefined);
      // Counted by blocks of 512 bytes: the file is as long as it will be from the first rows on.
      bytes += found ? Math.min(found.size, found.blocks * 512) : 0;
    }
  return bytes;
}

function mapRows({ map, rowSums, rowSquareSums, eightBit }: TappedMap): Record<string, ArrayBufferView> {
  const sums = { row_sums: rowSums, row_square_sums: rowSquareSums };
  return eightBit ? { ...sums, row_steps: eightBit.rowSteps, codes: eightBit.codes } : { ...sums, map };
}

function baseRows({ baseCls, baseMean }: TappedBatch): Record<string, Float32Array> {
  return baseCls ? { base_cls: baseCls, base_mean: baseMean } : { base_mean: baseMean };
}

import { Failure } from '../base/failure.ts';
import { mapName } from '../backbone/surgery.ts';
import { restoreRows } from './eight-bit.ts';
import type { CachedSet } from './feature-set.ts';
import { allocateFeatures, type FeatureBuffers, type FeatureNeeds, type FeatureSource } from './feature-source.ts';
import { RowFileReader } from './row-file.ts';

/** Streams rows of a cached feature set into batches. */
export class FeatureReader implements FeatureSource {
  /** By map, of a cache in 8 bits: the codes and steps of the rows that are being read. */
  private readonly codes: { codes: Int8Array; rowSteps: Uint16Array }[] = [];

  private constructor(
    private readonly needs: FeatureNeeds,
    private readonly maps: readonly RowFileReader[],
    private readonly base: RowFileReader | undefined,
    private readonly set: CachedSet,
  ) {}

  static async open(set: CachedSet, needs: FeatureNeeds): Promise<FeatureReader> {
    const opened: RowFileReader[] = [];
    const open = async (path: string): Promise<RowFileReader> => {
      const file = await RowFileReader.open(path);
      opened.push(file);
      if (file.rows !== set.images)
        throw new Failure(
          'damaged-features',
          `The feature file "${path}" holds ${file.rows} images, not ${set.images}: delete it, and it is extracted anew.`,
        );
      return file;
    };
    try {
      const maps: RowFileReader[] = [];
      for (const map of needs.maps) maps.push(await open(set.maps[mapName(map)]!.path));
      const base = needs.base ? await open(set.base) : undefined;
      return new FeatureReader(needs, maps, base, set);
    } catch (error) {
      await Promise.all(opened.map((file) => file.close()));
      throw error;
    }
  }

  get scales(): number[] {
    return this.needs.maps.map((map) => this.set.maps[mapName(map)]!.scale);
  }

  allocate(batch: number): FeatureBuffers {
    return allocateFeatures(this.set, this.needs, batch);
  }

  async read(rows: ArrayLike<number>, buffers: FeatureBuffers): Promise<void> {
    const fill = (file: RowFileReader, column: string, buffer: ArrayBufferView): Promise<void>[] => {
      const bytes = file.rowBytes(column);
      return Array.from(rows, (row, place) =>
        file.read(column, row, new Uint8Array(buffer.buffer, buffer.byteOffset + place * bytes, bytes)),
      );
    };
    const reads = this.maps.flatMap((file, index) => {
      const map = buffers[`map_${index}`] as Uint16Array;
      const stored =
        this.set.storage === 'fp16' ? fill(file, 'map', map) : [this.restore(index, rows.length, fill, map)];
      if (!this.needs.rowSums) return stored;
      return [
        ...stored,
        ...fill(file, 'row_sums', buffers[`row_sums_${index}`]!),
        ...fill(file, 'row_square_sums', buffers[`row_square_sums_${index}`]!),
      ];
    });
    if (this.base) reads.push(...fill(this.base, `base_${this.needs.base}`, buffers.base!));
    await Promise.all(reads);
  }

  /** Reads codes and steps of `count` images, and from them the map. */
  private async restore(
    index: number,
    count: number,
    fill: (file: RowFileReader, column: string, buffer: ArrayBufferView) => Promise<void>[],
    map: Uint16Array,
  ): Promise<void> {
    const { tokens, width } = this.set;
    let held = this.codes[index];
    if (!held || held.codes.length < count * tokens * width) {
      held = { codes: new Int8Array(count * tokens * width), rowSteps: new Uint16Array(count * tokens) };
      this.codes[index] = held;
    }
    const file = this.maps[index]!;
    await Promise.all([...fill(file, 'codes', held.codes), ...fill(file, 'row_steps', held.rowSteps)]);
    restoreRows(held.codes.subarray(0, count * tokens * width), held.rowSteps.subarray(0, count * tokens), map);
  }

  async close(): Promise<void> {
    await Promise.all([...this.maps, ...(this.base ? [this.base] : [])].map((file) => file.close()));
  }
}

import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { MapRequest } from '../../../src-main/backbone/surgery.ts';
import { evenly, withSampledFeatures } from '../../../src-main/export/sampled-features.ts';
import { baseColumns, mapColumns, type FeatureSet } from '../../../src-main/features/feature-set.ts';
import { openFeatures } from '../../../src-main/features/open-features.ts';
import { RowFileWriter } from '../../../src-main/features/row-file.ts';
import { Workspace } from '../../../src-main/workspace/workspace.ts';

describe('places at even steps', () => {
  it.each([
    [20, 5, [0, 4, 8, 12, 16]],
    [10, 4, [0, 2, 5, 7]],
    [3, 3, [0, 1, 2]],
    [2, 64, [0, 1]],
    [0, 64, []],
  ])('of %d, %d', (total, count, places) => expect(evenly(total, count)).toEqual(places));
});

describe('sampled features', () => {
  const [images, tokens, width] = [6, 2, 3];
  const maps: MapRequest[] = [{ kind: 'S', index: 2 }];
  let folder: string;
  let workspace: Workspace;
  let set: FeatureSet;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'sampled-'));
    workspace = await Workspace.open(folder);
    const cache = workspace.feature('cache');
    // Every value of an image is its number, or ten times that in the base.
    const numbers = (each: number) => Array.from({ length: images * each }, (_, index) => Math.floor(index / each));
    const map = await RowFileWriter.create(join(cache, 'map.safetensors'), mapColumns(tokens, width), images);
    await map.write(0, images, {
      map: Uint16Array.from(numbers(tokens * width)),
      row_sums: Float32Array.from(numbers(tokens)),
      row_square_sums: Float32Array.from(numbers(tokens)),
    });
    await map.finish({ scale: '4' });
    const base = await RowFileWriter.create(join(cache, 'base.safetensors'), baseColumns(width, true), images);
    const tens = Float32Array.from(numbers(width)).map((number) => 10 * number);
    await base.write(0, images, { base_cls: tens, base_mean: tens });
    await base.finish({});
    set = {
      ...{ images, tokens, width, hasCls: true, storage: 'fp16' },
      maps: { S_2: { path: join(cache, 'map.safetensors'), scale: 4 } },
      base: join(cache, 'base.safetensors'),
    };
  });
  afterEach(() => rm(folder, { recursive: true }));

  it('hold the rows asked for, and are gone afterwards', async () => {
    const read = await withSampledFeatures(workspace, { set, maps, rows: [1, 4] }, async (sampled) => {
      expect(sampled.images).toBe(2);
      const reader = await openFeatures(sampled, { maps, rowSums: true, base: 'cls' });
      const buffers = reader.allocate(2);
      await reader.read([0, 1], buffers);
      const { scales } = reader;
      await reader.close();
      return { ...buffers, scales };
    });
    expect(read).toEqual({
      map_0: Uint16Array.of(1, 1, 1, 1, 1, 1, 4, 4, 4, 4, 4, 4),
      row_sums_0: Float32Array.of(1, 1, 4, 4),
      row_square_sums_0: Float32Array.of(1, 1, 4, 4),
      base: Float32Array.of(10, 10, 10, 40, 40, 40),
      scales: [4],
    });
    expect(await readdir(workspace.features)).toEqual(['cache']);
  });

  it('are gone when their use fails', async () => {
    const fails = withSampledFeatures(workspace, { set, maps, rows: [0] }, () => Promise.reject(new Error('no')));
    await expect(fails).rejects.toThrow('no');
    expect(await readdir(workspace.features)).toEqual(['cache']);
  });

  it('are the set itself where all are asked for', async () => {
    const rows = evenly(images, 64);
    expect(await withSampledFeatures(workspace, { set, maps, rows }, (all) => Promise.resolve(all))).toBe(set);
  });
});

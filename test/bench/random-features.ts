import { join } from 'node:path';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';
import { mapName } from '../../src-main/backbone/surgery.ts';
import { floatsToHalves, halvesToFloats } from '../../src-main/engine/half.ts';
import { baseColumns, mapColumns, type CachedSet } from '../../src-main/features/feature-set.ts';
import { RowFileWriter } from '../../src-main/features/row-file.ts';
import type { BaseMap, TokenLayout } from '../../src-main/methods/network.ts';
import { normal } from '../../src-main/training/random.ts';

/** Images that differ; further ones repeat them. */
const DIFFERENT = 32;

/** A cache of random features, P_i = P_{i-1} + noise, as extraction would have written it. */
export async function writeRandomFeatures(
  folder: string,
  { tokens, width }: TokenLayout,
  maps: readonly BaseMap[],
  images: number,
): Promise<CachedSet> {
  const generator = xoroshiro128plus(1);
  // Values out of a table: drawing each of 29 million takes longer than the bench.
  const noise = Float32Array.from({ length: 9973 }, () => normal(generator));
  const base = join(folder, 'base.safetensors');
  const set: CachedSet = { images, tokens, width, storage: 'fp16', maps: {}, base, hasCls: true };
  const states = Array.from({ length: Math.min(images, DIFFERENT) }, () => new Float32Array(tokens * width));
  for (const [index, map] of maps.entries()) {
    const path = join(folder, `${mapName(map)}.safetensors`);
    set.maps[mapName(map)] = { path, scale: 1 };
    const writer = await RowFileWriter.create(path, mapColumns(tokens, width), images);
    const rows = states.map((state, image) => {
      for (let i = 0; i < state.length; i++) state[i]! += noise[(i * 7 + index * 131 + image * 1009) % noise.length]!;
      return mapRow(state, tokens, width);
    });
    for (let image = 0; image < images; image++) await writer.write(image, 1, rows[image % DIFFERENT]!);
    await writer.finish({ scale: '1' });
  }
  const writer = await RowFileWriter.create(base, baseColumns(width, true), images);
  for (let image = 0; image < images; image++) {
    const pooled = noise.subarray(image % DIFFERENT, (image % DIFFERENT) + width);
    await writer.write(image, 1, { base_cls: pooled, base_mean: pooled });
  }
  await writer.finish({});
  return set;
}

function mapRow(state: Float32Array, tokens: number, width: number) {
  const map = floatsToHalves(state);
  const sums = { row_sums: new Float32Array(tokens), row_square_sums: new Float32Array(tokens) };
  halvesToFloats(map).forEach((value, i) => {
    const row = Math.floor(i / width);
    sums.row_sums[row]! += value;
    sums.row_square_sums[row]! += value ** 2;
  });
  return { map, ...sums };
}

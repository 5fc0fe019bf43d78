import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as ort from 'onnxruntime-node';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';
import { describe, expect, it } from 'vitest';
import { findBlocks } from '../../src-main/backbone/find-blocks.ts';
import type { VitStructure } from '../../src-main/backbone/find-blocks.ts';
import { writePlainVit } from '../../src-main/backbone/plain-vit.ts';
import { addTaps, exposeValues, mapValues } from '../../src-main/backbone/surgery.ts';
import type { MapRequest, TapRequest } from '../../src-main/backbone/surgery.ts';
import { Failure } from '../../src-main/base/failure.ts';
import { fromHalf } from '../../src-main/engine/half.ts';
import { DataType, decodeModel, encodeModel, valueInfo } from '../../src-main/engine/onnx/model.ts';
import type { ModelProto } from '../../src-main/engine/onnx/onnx_pb.ts';
import { tensorValues } from '../../src-main/backbone/tensors.ts';

const shared = process.env.SIDETUNE_SHARED ?? join(import.meta.dirname, '../../../shared');
const vitTiny = join(shared, 'models/vit_tiny_patch16_224.onnx');
if (!existsSync(vitTiny)) console.warn(`SKIPPED: ViT-Ti is absent (${vitTiny}); set SIDETUNE_SHARED`);

type Outputs = Record<string, ort.Tensor>;

async function runModel(model: ModelProto, feeds: Record<string, ort.Tensor>): Promise<Outputs> {
  const session = await ort.InferenceSession.create(encodeModel(model), { intraOpNumThreads: 1 });
  try {
    return { ...(await session.run(feeds)) };
  } finally {
    await session.release();
  }
}

/** Smooth random patterns that differ between images, in [-1, 1]. */
function images(structure: VitStructure, count: number, seed = 7): ort.Tensor {
  const { imageHeight: height, imageWidth: width } = structure;
  const generator = xoroshiro128plus(seed);
  const uniform = (): number => generator.next() / 2 ** 31;
  const pixels = new Float32Array(count * 3 * height * width);
  for (let plane = 0; plane < count * 3; plane++) {
    const [across, down, phase] = [uniform() / 4, uniform() / 4, 3 * uniform()];
    for (let i = 0; i < height * width; i++) {
      const wave = Math.sin(across * (i % width) + down * Math.floor(i / width) + phase);
      pixels[plane * height * width + i] = 0.7 * wave + 0.3 * uniform();
    }
  }
  return new ort.Tensor('float32', pixels, [count, 3, height, width]);
}

function floats(outputs: Outputs, name: string): Float32Array {
  const output = outputs[name];
  if (!output) throw new Error(`no output ${name}`);
  if (output.type === 'float32') return output.data as Float32Array;
  const { buffer, byteOffset, length } = output.data as Uint16Array;
  return Float32Array.from(new Uint16Array(buffer, byteOffset, length), fromHalf);
}

const scaleFeed = (map: MapRequest, scale: number): Record<string, ort.Tensor> => ({
  [mapValues(map).scale]: new ort.Tensor('float32', Float32Array.of(scale), []),
});

/** The sum of states z_0 + z_g + ... in double precision. */
function sumOutside(raw: Outputs, structure: VitStructure, group: number, index: number): Float64Array {
  const total = new Float64Array(floats(raw, structure.states[0] ?? '').length);
  for (let i = 0; i <= index; i++) {
    const state = floats(raw, structure.states[i * group] ?? '');
    for (let j = 0; j < total.length; j++) total[j] = (total[j] ?? 0) + (state[j] ?? 0);
  }
  return total;
}

/** Largest difference, as a fraction of each value where that is larger than `floor`. */
function largestRelative(found: ArrayLike<number>, wanted: ArrayLike<number>, floor: number): number {
  expect(found).toHaveLength(wanted.length);
  let largest = 0;
  for (let i = 0; i < wanted.length; i++) {
    const difference = Math.abs((found[i] ?? NaN) - (wanted[i] ?? NaN));
    const relative = difference / Math.max(Math.abs(wanted[i] ?? NaN), floor);
    if (!(relative <= largest)) largest = relative;
  }
  return largest;
}

async function checkMaps(model: ModelProto, request: TapRequest, scale: number, batch: number): Promise<void> {
  const structure = findBlocks(model);
  const { tokens, width, prefix } = structure;
  const feeds = { [structure.input.name]: images(structure, batch) };
  const raw = await runModel(exposeValues(model, structure.states), feeds);
  const tapped = addTaps(model, structure, request);
  const scales = Object.assign({}, ...request.maps.map((map) => scaleFeed(map, scale))) as Outputs;
  const outputs = await runModel(tapped, { ...feeds, ...scales });
  for (const map of request.maps) {
    const names = mapValues(map);
    const stored = floats(outputs, names.map);
    expect(outputs[names.map]?.type).toBe('float16');
    expect(outputs[names.map]?.dims).toEqual([batch, tokens, width]);
    const outside = sumOutside(raw, structure, map.kind === 'P' ? map.group : 1, map.index);
    // Half precision keeps 11 bits: at most 2^-11 off. Values near zero, where float32 sums in another order differ by
    // more than that, are held to the same share of the mean magnitude.
    const readBack = Float64Array.from(stored, (value) => value * scale);
    const magnitude = outside.reduce((sum, value) => sum + Math.abs(value), 0) / outside.length;
    expect(largestRelative(readBack, outside, 0.02 * magnitude)).toBeLessThan(2 ** -11 * 1.02);

    const sums = new Float64Array(batch * tokens);
    const squares = new Float64Array(batch * tokens);
    const exactSums = new Float64Array(batch * tokens);
    readBack.forEach((value, i) => {
      const row = Math.floor(i / width);
      sums[row] = (sums[row] ?? 0) + value;
      squares[row] = (squares[row] ?? 0) + value * value;
      exactSums[row] = (exactSums[row] ?? 0) + (outside[i] ?? NaN);
    });
    const rowNorm = Math.sqrt(Math.max(...squares));
    expect(outputs[names.rowSums]?.dims).toEqual([batch, tokens]);
    const sumError = largestRelative(floats(outputs, names.rowSums), sums, rowNorm);
    expect(sumError).toBeLessThan(2e-6);
    expect(largestRelative(floats(outputs, names.rowSquareSums), squares, 1e-3)).toBeLessThan(2e-6);
    // They belong to the rounded map: the unrounded one's sums are a good deal further away.
    expect(largestRelative(exactSums, sums, rowNorm)).toBeGreaterThan(5 * sumError);
  }
  const last = floats(raw, structure.states.at(-1) ?? '');
  const cls = new Float64Array(batch * width);
  const mean = new Float64Array(batch * width);
  for (let i = 0; i < last.length; i++) {
    const image = Math.floor(i / (tokens * width));
    const token = Math.floor(i / width) % tokens;
    const at = image * width + (i % width);
    if (token === 0) cls[at] = last[i] ?? NaN;
    if (token >= prefix) mean[at] = (mean[at] ?? 0) + (last[i] ?? NaN) / (tokens - prefix);
  }
  expect(largestRelative(floats(outputs, 'base_cls'), cls, 1)).toBeLessThan(1e-5);
  expect(largestRelative(floats(outputs, 'base_mean'), mean, 1)).toBeLessThan(1e-5);
}

/** The head on z_L's CLS row: final LayerNorm, then Linear with weight [classes, width], in double precision. */
function headOutside(structure: VitStructure, last: Float32Array, weight: ArrayLike<number>, bias: ArrayLike<number>) {
  const { width, tokens, finalNorm } = structure;
  const batch = last.length / (tokens * width);
  return Array.from({ length: batch }, (_, image) => {
    const row = Array.from(last.subarray(image * tokens * width, image * tokens * width + width));
    const mean = row.reduce((sum, value) => sum + value, 0) / width;
    const variance = row.reduce((sum, value) => sum + (value - mean) ** 2, 0) / width;
    const normed = row.map((value, j) => {
      const unit = (value - mean) / Math.sqrt(variance + finalNorm.epsilon);
      return unit * (finalNorm.scale[j] ?? NaN) + (finalNorm.bias[j] ?? NaN);
    });
    return Array.from(bias, (start, c) =>
      normed.reduce((sum, value, j) => sum + value * (weight[c * width + j] ?? NaN), start),
    );
  }).flat();
}

/** Runs the whole model and the head outside; returns the largest logit difference. */
async function headDifference(model: ModelProto, batch: number): Promise<number> {
  const structure = findBlocks(model);
  const logits = structure.logits?.name ?? '';
  const gemm = model.graph?.node.find((each) => each.output[0] === logits);
  const values = (name: string | undefined): ArrayLike<number> => {
    const tensor = model.graph?.initializer.find((each) => each.name === name);
    return (tensor && tensorValues(tensor)) ?? [];
  };
  const outputs = await runModel(exposeValues(model, structure.states.slice(-1)), {
    [structure.input.name]: images(structure, batch),
  });
  const last = floats(outputs, structure.states.at(-1) ?? '');
  const outside = headOutside(structure, last, values(gemm?.input[1]), values(gemm?.input[2]));
  const inside = floats(outputs, logits);
  expect(outside).toHaveLength(inside.length);
  expect(Math.max(...inside) - Math.min(...inside)).toBeGreaterThan(0.5);
  return Math.max(...outside.map((value, i) => Math.abs(value - (inside[i] ?? NaN))));
}

describe.each(['fused', 'decomposed'] as const)('taps of a plain ViT with %s LayerNorms', (norm) => {
  const options = { size: 32, width: 24, blocks: 4, heads: 2, seed: 3, classes: 10, norm } as const;
  const model = decodeModel(writePlainVit(options));
  const maps: MapRequest[] = [
    { kind: 'P', group: 1, index: 0 },
    { kind: 'P', group: 1, index: 4 },
    { kind: 'P', group: 2, index: 1 },
    { kind: 'P', group: 2, index: 2 },
    { kind: 'S', index: 3 },
  ];

  it('reads z_L: final LayerNorm and head outside give the logits', async () => {
    expect(await headDifference(model, 3)).toBeLessThan(1e-5);
  });

  it.each([1, 0.25, 16])('puts out the maps, their row sums and the base at scale %d', async (scale) => {
    await checkMaps(model, { maps, base: true }, scale, 3);
  });

  it('drops what is not needed, and keeps the logits when asked', async () => {
    const structure = findBlocks(model);
    const [early] = maps;
    if (!early) throw new Error('no map');
    const tapped = addTaps(model, structure, { maps: [early], base: false });
    expect(tapped.graph?.output.map(({ name }) => name)).toEqual(['P1_0', 'P1_0_row_sums', 'P1_0_row_square_sums']);
    expect(tapped.graph?.node.some(({ opType }) => opType === 'Softmax')).toBe(false);
    expect(encodeModel(tapped).length).toBeLessThan(encodeModel(model).length / 2);
    const feeds = { pixel_values: images(structure, 1) };
    const kept = addTaps(model, structure, { maps: [early], base: false, keepLogits: true });
    const before = await runModel(model, feeds);
    const after = await runModel(kept, { ...feeds, ...scaleFeed(early, 1) });
    expect(largestRelative(floats(after, 'logits'), floats(before, 'logits'), 1)).toBeLessThan(1e-5);
  });

  it('shares weights and leaves the given model as it was', () => {
    const before = encodeModel(model);
    const tapped = addTaps(model, findBlocks(model), { maps, base: true });
    expect(encodeModel(model)).toEqual(before);
    const weight = tapped.graph?.initializer.find(({ name }) => name === 'position');
    expect(weight).toBe(model.graph?.initializer.find(({ name }) => name === 'position'));
  });

  it('drops the inputs that old exporters list for weights', async () => {
    const structure = findBlocks(model);
    const listed = decodeModel(encodeModel(model));
    const weights = listed.graph?.initializer.filter(({ name }) => /weight|bias/.test(name)) ?? [];
    listed.graph?.input.push(...weights.map(({ name, dims }) => valueInfo(name, DataType.FLOAT, dims.map(Number))));
    const map: MapRequest = { kind: 'P', group: 1, index: 1 };
    const tapped = addTaps(listed, findBlocks(listed), { maps: [map], base: false });
    const feeds = { pixel_values: images(structure, 1), ...scaleFeed(map, 1) };
    const plain = addTaps(model, structure, { maps: [map], base: false });
    expect(floats(await runModel(tapped, feeds), 'P1_1')).toEqual(floats(await runModel(plain, feeds), 'P1_1'));
  });

  it('refuses a model that has a value of the same name', () => {
    const structure = findBlocks(model);
    const clashing = decodeModel(encodeModel(model));
    for (const each of clashing.graph?.node ?? []) {
      each.input = each.input.map((name) => (name === 'sequence' ? 'S_1' : name));
      each.output = each.output.map((name) => (name === 'sequence' ? 'S_1' : name));
    }
    const request: TapRequest = { maps: [{ kind: 'S', index: 1 }], base: false };
    expect(() => addTaps(clashing, structure, request)).toThrow(/already has a value named "S_1"/);
  });

  it('refuses a group that does not divide, an index past the end and an old opset', () => {
    const structure = findBlocks(model);
    const tap = (map: MapRequest) => () => addTaps(model, structure, { maps: [map], base: false });
    expect(tap({ kind: 'P', group: 3, index: 1 })).toThrow(/group 3 does not divide the backbone's 4 blocks/);
    expect(tap({ kind: 'P', group: 2, index: 3 })).toThrow(/P2_3 does not exist.*from 0 to 2/);
    expect(tap({ kind: 'S', index: 5 })).toThrow(Failure);
    const old = { ...model, opsetImport: model.opsetImport.map((each) => ({ ...each, version: 12n })) };
    expect(() => addTaps(old, structure, { maps: [], base: true })).toThrow(/opset 12/);
  });
});

describe('the demo backbone', () => {
  it('has features that tell images apart at depth', async () => {
    const model = decodeModel(writePlainVit());
    const structure = findBlocks(model);
    const outputs = await runModel(exposeValues(model, structure.states), { pixel_values: images(structure, 6) });
    for (const state of structure.states.slice(1)) {
      const values = floats(outputs, state);
      const row = (image: number): Float32Array =>
        values.subarray(image * structure.tokens * structure.width).subarray(0, structure.width);
      const norm = (vector: ArrayLike<number>): number => Math.hypot(...Array.from(vector));
      for (let image = 1; image < 6; image++) {
        const difference = row(0).map((value, j) => value - (row(image)[j] ?? NaN));
        expect(norm(difference) / norm(row(0))).toBeGreaterThan(0.1);
        expect(norm(row(image)) / Math.sqrt(structure.width)).toBeLessThan(20);
      }
    }
  });
});

describe.skipIf(!existsSync(vitTiny))('taps of ViT-Ti', () => {
  const load = (): ModelProto => decodeModel(readFileSync(vitTiny));

  it('is read by its graph alone', () => {
    const { input, finalNorm, states, ...rest } = findBlocks(load());
    expect(rest).toEqual({
      imageHeight: 224,
      imageWidth: 224,
      patchSize: 16,
      blocks: 12,
      width: 192,
      tokens: 197,
      prefix: 1,
      heads: 3,
      parameters: 5_717_416,
      precision: 'float32',
      logits: { name: 'logits', classes: 1000 },
    });
    expect(input).toMatchObject({ name: 'pixel_values', batch: null, height: 224, width: 224 });
    expect(states).toHaveLength(13);
    expect(finalNorm.epsilon).toBeCloseTo(1e-6, 10);
  });

  it('z_L through the final LayerNorm and head gives the logits', async () => {
    expect(await headDifference(load(), 2)).toBeLessThan(2e-4);
  });

  it('P_i and S_k are the sums made outside, to half precision', async () => {
    const each = Array.from({ length: 12 }, (_, i): MapRequest => ({ kind: 'P', group: 1, index: i + 1 }));
    const maps: MapRequest[] = [...each, { kind: 'P', group: 3, index: 4 }, { kind: 'S', index: 8 }];
    await checkMaps(load(), { maps, base: true }, 1, 2);
  });
});

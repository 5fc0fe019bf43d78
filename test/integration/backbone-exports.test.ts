/** ViTs as real exporters write them, and models that are none: test/fixtures/exports/make.py made the files. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as ort from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { findBlocks } from '../../src-main/backbone/find-blocks.ts';
import type { VitStructure } from '../../src-main/backbone/find-blocks.ts';
import { inspectModel } from '../../src-main/backbone/measure.ts';
import { parseModel } from '../../src-main/backbone/read-model.ts';
import { addTaps, FLOAT_PIXELS, mapValues, withFloatPixels } from '../../src-main/backbone/surgery.ts';
import type { MapRequest } from '../../src-main/backbone/surgery.ts';
import { fromHalf } from '../../src-main/engine/half.ts';
import { encodeModel } from '../../src-main/engine/onnx/model.ts';
import type { ModelProto } from '../../src-main/engine/onnx/onnx_pb.ts';

const folder = join(import.meta.dirname, '../fixtures/exports');

const numbers = z.array(z.number());
const reference = z.strictObject({
  blocks: z.int(),
  width: z.int(),
  tokens: z.int(),
  prefix: z.int(),
  heads: z.int(),
  batch: z.int(),
  /** z_0 .. z_L of PyTorch, each [batch, tokens, width]. */
  states: z.array(z.strictObject({ overWidth: numbers, overTokens: numbers })),
  /** The final LayerNorm of z_L's CLS row and of its patches' mean, each [batch, width]. */
  normed: z.strictObject({ cls: numbers.optional(), mean: numbers }),
});
type Reference = z.infer<typeof reference>;

const references = z
  .record(z.string(), reference.nullable())
  .parse(JSON.parse(readFileSync(join(folder, 'expected.json'), 'utf8')));

const CHAIN = 'The chain of residual Adds of a plain pre-LN Vision Transformer was looked for';

/** Files that hold no plain ViT, and what a user reads of them. */
const REFUSED: Readonly<Record<string, string>> = {
  bert: 'One input, float images [N, 3, H, W], was looked for in the model, but 2 of token numbers were found ("input_ids", "attention_mask"): it looks like a text model such as BERT.',
  'clip-both':
    'One input, float images [N, 3, H, W], was looked for in the model, but 3 were found ("input_ids", "pixel_values", "attention_mask"): it holds a text encoder beside the image encoder, so export the image encoder alone.',
  'convolutional-stem':
    'One convolution that cuts the image into patches was looked for under the first block, and 2 were found: a hybrid of convolutions and attention is no plain ViT.',
  convnext: `${CHAIN}, and 8 convolutions without attention were found: it looks like ConvNeXt or another convolutional network.`,
  resnet: `${CHAIN}, and 13 convolutions without attention were found: it looks like a convolutional network such as ResNet.`,
  swin: `${CHAIN}, with one width throughout, but it looks like Swin or another pyramid: the width changes from 12 to 24 between stages.`,
  'timm-parallel-branches':
    'Attention and MLP one after the other were looked for, each with a residual Add, and 2 blocks with both side by side were found: parallel blocks are not supported.',
  'timm-post-norm':
    'LayerNorms in front of attention and MLP were looked for (pre-LN), and LayerNorms behind attention and MLP, as in Swin v2, were found: a post-norm model is not supported.',
  'vit-cut-short':
    'A final LayerNorm was looked for behind the last block, and the last one found is that of the MLP in block 2: the model is cut short, so export it with its final norm.',
  'vit-mae':
    'A model that gives the same image the same features was looked for, and one with random numbers (RandomUniformLike) was found: it looks like a masked autoencoder, which leaves out patches by chance, so export its encoder without masking.',
  'whisper-encoder':
    'One input, float images [N, 3, H, W], was looked for in the model, but "input_features" is float [batch, 8, 32]: export the image encoder alone, for colour images.',
};

/** Largest relative error that half-precision weights, or 8-bit ones, may cause; float32 ones meet the maps' rounding alone. */
const LOOSER: Readonly<Record<string, number>> = { half: 0.02, int8: 0.1 };

const files = readdirSync(folder)
  .filter((name) => name.endsWith('.onnx'))
  .map((name) => name.replace('.onnx', ''));
const plain = files.filter((name) => !(name in REFUSED));

const load = (name: string): ModelProto => parseModel(readFileSync(join(folder, `${name}.onnx`)), `${name}.onnx`);

/** The pixels that make.py gave to PyTorch. */
function waves(batch: number, { imageHeight, imageWidth }: VitStructure): ort.Tensor {
  const pixels: number[] = [];
  for (let image = 0; image < batch; image++)
    for (let channel = 0; channel < 3; channel++)
      for (let down = 0; down < imageHeight; down++)
        for (let across = 0; across < imageWidth; across++) {
          const phase =
            0.9 + 1.7 * image + 0.5 * channel + (0.21 + 0.07 * channel) * across + 0.13 * (image + 1) * down;
          pixels.push(Math.sin(phase));
        }
  return new ort.Tensor('float32', Float32Array.from(pixels), [batch, 3, imageHeight, imageWidth]);
}

function floats(tensor: ort.Tensor | undefined): Float32Array {
  if (!tensor) throw new Error('an output is missing');
  if (tensor.type === 'float32') return tensor.data as Float32Array;
  const { buffer, byteOffset, byteLength } = tensor.data as Uint16Array;
  return Float32Array.from(new Uint16Array(buffer, byteOffset, byteLength / 2), fromHalf);
}

/** Norm of the difference over the norm of what is wanted. */
function distance(found: ArrayLike<number>, wanted: readonly number[]): number {
  expect(found).toHaveLength(wanted.length);
  return Math.hypot(...wanted.map((value, i) => value - (found[i] ?? NaN))) / Math.hypot(...wanted);
}

/** Sums over the tokens of a map [batch, tokens, width]: [batch, width]. */
function overTokens(map: Float32Array, { tokens, width }: VitStructure): Float64Array {
  const sums = new Float64Array(map.length / tokens);
  map.forEach((value, i) => (sums[Math.floor(i / (tokens * width)) * width + (i % width)]! += value));
  return sums;
}

/** The final LayerNorm, as the studio's heads compute it, of rows [batch, width]. */
function normed(rows: Float32Array, { width, finalNorm: { scale, bias, epsilon } }: VitStructure): number[] {
  return Array.from({ length: rows.length / width }, (_, index) => {
    const row = Array.from(rows.subarray(index * width, (index + 1) * width));
    const mean = row.reduce((sum, value) => sum + value, 0) / width;
    const variance = row.reduce((sum, value) => sum + (value - mean) ** 2, 0) / width;
    return row.map((value, j) => ((value - mean) / Math.sqrt(variance + epsilon)) * scale[j]! + bias[j]!);
  }).flat();
}

function tolerance(name: string): number {
  const kind = Object.keys(LOOSER).find((each) => name.includes(each));
  return kind ? LOOSER[kind]! : 5e-3;
}

async function checkTaps(name: string, model: ModelProto, vit: VitStructure, wanted: Reference): Promise<void> {
  const { batch, states } = wanted;
  const maps = states.map((_, index): MapRequest => ({ kind: 'P', group: 1, index }));
  const tapped = withFloatPixels(addTaps(model, vit, { maps, base: true, keepLogits: true }), vit);
  const session = await ort.InferenceSession.create(encodeModel(tapped), { intraOpNumThreads: 1 });
  const one = new ort.Tensor('float32', Float32Array.of(1), []);
  const scales = Object.fromEntries(maps.map((map) => [mapValues(map).scale, one]));
  const outputs = await session.run({ [FLOAT_PIXELS]: waves(batch, vit), ...scales });
  await session.release();

  const near = tolerance(name);
  const total = { overWidth: [] as number[], overTokens: [] as number[] };
  const added = (sums: number[], more: number[]): number[] => more.map((value, i) => value + (sums[i] ?? 0));
  maps.forEach((map, index) => {
    total.overWidth = added(total.overWidth, states[index]!.overWidth);
    total.overTokens = added(total.overTokens, states[index]!.overTokens);
    const names = mapValues(map);
    expect(outputs[names.map]!.dims).toEqual([batch, vit.tokens, vit.width]);
    expect(distance(floats(outputs[names.rowSums]), total.overWidth), names.map).toBeLessThan(near);
    expect(distance(overTokens(floats(outputs[names.map]), vit), total.overTokens), names.map).toBeLessThan(near);
  });
  expect(distance(normed(floats(outputs.base_mean), vit), wanted.normed.mean)).toBeLessThan(near);
  if (!wanted.normed.cls) {
    expect(outputs.base_cls).toBeUndefined();
    return;
  }
  const head = normed(floats(outputs.base_cls), vit);
  expect(distance(head, wanted.normed.cls)).toBeLessThan(near);
  // The model's own word, where it puts out all tokens; CLIP's are those before the final LayerNorm.
  const own = name.includes('clip') ? undefined : outputs.last_hidden_state;
  if (!own) return;
  const each = vit.tokens * vit.width;
  const rows = Array.from({ length: batch }, (_, i) =>
    Array.from(floats(own).subarray(i * each, i * each + vit.width)),
  );
  expect(distance(head, rows.flat())).toBeLessThan(near);
}

describe('plain ViTs of real exporters', () => {
  it.each(plain)('%s', async (name) => {
    const wanted = references[name];
    if (!wanted) throw new Error(`${name} has no reference: run make.py`);
    const model = load(name);
    const vit = await inspectModel(model);
    const { blocks, width, tokens, prefix, heads } = wanted;
    expect(vit).toMatchObject({ blocks, width, tokens, prefix, heads, patchSize: 8, imageHeight: 32, imageWidth: 32 });
    await checkTaps(name, model, vit, wanted);
  });

  it('are of one batch or of any, as they were exported', () => {
    const batchOf = (name: string) => findBlocks(load(name)).input.batch;
    expect(batchOf('timm-vit-batch-1')).toBe(1);
    expect(batchOf('timm-vit-batch-8-dynamo')).toBe(8);
    expect(batchOf('timm-vit-legacy-17')).toBeNull();
  });
});

describe('models that are no plain ViT', () => {
  it.each(Object.entries(REFUSED))('%s', async (name, sentence) => {
    const model = load(name);
    const refusal = async () => inspectModel(model);
    await expect(refusal()).rejects.toThrow(sentence);
  });
});

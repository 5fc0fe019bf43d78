import type * as ort from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import { findBlocks, type VitStructure } from '../../../src-main/backbone/find-blocks.ts';
import { declaredShape } from '../../../src-main/backbone/graph.ts';
import { writePlainVit, type PlainVitOptions } from '../../../src-main/backbone/plain-vit.ts';
import { createSession } from '../../../src-main/engine/session.ts';
import { DataType, decodeModel, encodeModel, node, valueInfo } from '../../../src-main/engine/onnx/model.ts';
import type { ModelProto } from '../../../src-main/engine/onnx/onnx_pb.ts';
import { mergedModel } from '../../../src-main/export/merged.ts';
import { compareLogits, MERGED_TOLERANCE } from '../../../src-main/export/parity.ts';
import type { FrozenNorm } from '../../../src-main/methods/network.ts';
import { CLASSES, networkCases, randomParameters, someScales, type NetworkCase } from './networks.ts';
import { floatImages, inAppLogits, runModel } from './tapped.ts';

const small: PlainVitOptions = { size: 32, width: 24, blocks: 4, heads: 2, seed: 3, classes: 10 };

const frozenFactsOf = ({ tokens, width, prefix, finalNorm }: VitStructure) => {
  const norm: FrozenNorm = { scale: finalNorm.scale, shift: finalNorm.bias, epsilon: finalNorm.epsilon };
  return { layout: { tokens, width, prefix }, norm };
};

async function merge(backbone: ModelProto, { build, pool }: NetworkCase, metadata = {}) {
  const structure = findBlocks(backbone);
  const { layout, norm } = frozenFactsOf(structure);
  const network = build(layout, structure.blocks, norm);
  const options = { network, pool, parameters: randomParameters(network), scales: someScales(network) };
  const model = await mergedModel({ backbone, structure, metadata, ...options });
  return { model, structure, ...options };
}

const run = (model: ModelProto, images: ort.Tensor) => runModel(model, { pixel_values: images });

async function checkParity(backbone: ModelProto, network: NetworkCase, batches = [1, 3, 32]): Promise<ModelProto> {
  const { model, structure, ...trained } = await merge(backbone, network);
  for (const batch of batches) {
    const images = floatImages(structure, batch);
    const wanted = await inAppLogits(backbone, structure, trained, images);
    const logits = (await run(model, images)).logits!;
    expect(logits.dims).toEqual([batch, CLASSES]);
    const parity = compareLogits(wanted, logits.data as Float32Array, CLASSES, MERGED_TOLERANCE);
    expect(parity).toMatchObject({ images: batch, holds: true, top1Changes: [] });
    expect(parity.maxAbsLogit).toBeLessThan(1e-4);
  }
  return model;
}

describe.each(networkCases)('merged model of $name', (network) => {
  it.each(['fused', 'decomposed'] as const)('gives the logits of the app, %s LayerNorms', async (norm) => {
    await checkParity(decodeModel(writePlainVit({ ...small, norm })), network);
  });

  it('has one input, one output and nothing that neither needs', async () => {
    const { model } = await merge(decodeModel(writePlainVit(small)), network);
    const shapes = (values: ModelProto['graph'] & object, side: 'input' | 'output') =>
      values[side].map((each) => [each.name, declaredShape(each)]);
    expect(shapes(model.graph!, 'input')).toEqual([['pixel_values', ['batch', 3, 32, 32]]]);
    expect(shapes(model.graph!, 'output')).toEqual([['logits', ['batch', CLASSES]]]);
    const read = new Set(model.graph!.node.flatMap(({ input }) => input));
    const made = model.graph!.node.flatMap(({ output }) => output);
    const names = [...made, ...model.graph!.initializer.map(({ name }) => name)];
    expect(new Set(names).size).toBe(names.length);
    expect(model.graph!.initializer.filter(({ name }) => !read.has(name))).toEqual([]);
    expect(made.filter((name) => name.includes('row_s') || name.includes('squares'))).toEqual([]);
    expect(names.filter((name) => name === 'head.weight')).toEqual([]);
  });
});

describe('merged models of other backbones', () => {
  const last = networkCases[1]!;

  it('repeats the rounding: with scales that lose digits, the logits move with it', async () => {
    const backbone = decodeModel(writePlainVit(small));
    const { model, structure, network, parameters } = await merge(backbone, last);
    // Divided by so much, the maps end among the subnormal halves, where few digits are left.
    const scales = network.maps.map(() => 2 ** 23);
    const coarse = await mergedModel({ backbone, structure, network, pool: last.pool, parameters, scales });
    const images = floatImages(structure, 3);
    const wanted = await inAppLogits(backbone, structure, { network, parameters, scales, pool: last.pool }, images);
    const found = (await run(coarse, images)).logits!.data as Float32Array;
    expect(compareLogits(wanted, found, CLASSES, MERGED_TOLERANCE).holds).toBe(true);
    const fine = (await run(model, images)).logits!.data as Float32Array;
    expect(compareLogits(wanted, fine, CLASSES, MERGED_TOLERANCE).holds).toBe(false);
  });

  it('raises opset 13 to 17 and keeps a newer one', async () => {
    const old = decodeModel(writePlainVit({ ...small, norm: 'decomposed' }));
    old.opsetImport[0]!.version = 13n;
    old.irVersion = 7n;
    const raised = await checkParity(old, last, [3]);
    expect(raised.opsetImport.map(({ version }) => version)).toEqual([17n]);
    expect(raised.irVersion).toBe(8n);
    const newer = decodeModel(writePlainVit(small));
    newer.opsetImport[0]!.version = 20n;
    newer.irVersion = 9n;
    for (const network of networkCases) {
      const kept = await checkParity(newer, network, [3]);
      expect(kept.opsetImport.map(({ version }) => version)).toEqual([20n]);
      expect(kept.irVersion).toBe(9n);
    }
  });

  it('refuses to raise the opset under an operator that changed', async () => {
    const old = decodeModel(writePlainVit({ ...small, norm: 'decomposed' }));
    old.graph!.node.push(node('BatchNormalization', ['sequence', 'cls', 'cls', 'cls', 'cls'], ['unused']));
    old.opsetImport[0]!.version = 13n;
    await expect(merge(old, last)).rejects.toThrow(/BatchNormalization.*opset 17/);
    old.opsetImport[0]!.version = 14n;
    await expect(merge(old, last)).resolves.toBeDefined();
  });

  it('keeps a fixed batch', async () => {
    const model = await checkParity(decodeModel(writePlainVit({ ...small, batch: 2 })), last, [2]);
    expect(declaredShape(model.graph!.input[0]!)).toEqual([2, 3, 32, 32]);
    expect(declaredShape(model.graph!.output[0]!)).toEqual([2, CLASSES]);
  });

  it('takes names that the backbone uses for something else', async () => {
    const backbone = decodeModel(writePlainVit(small));
    const graph = backbone.graph!;
    const names = new Map([
      ['pixel_values', 'image'],
      ['embedding', 'logits'],
      ['logits', 'scores'],
      ['sequence', 'pixel_values'],
    ]);
    const rename = (name: string): string => names.get(name) ?? name;
    for (const each of graph.node) {
      each.input = each.input.map(rename);
      each.output = each.output.map(rename);
    }
    for (const each of [...graph.input, ...graph.output]) each.name = rename(each.name);
    graph.valueInfo.push(valueInfo('pixel_values', DataType.FLOAT, ['batch', 17, 24]));
    await checkParity(backbone, last, [3]);
  });

  it('refuses a backbone with a value in the adaptor\u2019s place', async () => {
    const backbone = decodeModel(writePlainVit(small));
    for (const each of backbone.graph!.node) {
      each.input = each.input.map((name) => (name === 'sequence' ? 'adaptor/x' : name));
      each.output = each.output.map((name) => (name === 'sequence' ? 'adaptor/x' : name));
    }
    await expect(merge(backbone, last)).rejects.toThrow(/already has a value named "adaptor\/x"/);
  });

  it('carries metadata, scales, and the backbone\u2019s own metadata beside them', async () => {
    const { model, scales } = await merge(decodeModel(writePlainVit(small)), last, { labels: '["a","b"]' });
    const metadata = Object.fromEntries(model.metadataProps.map(({ key, value }) => [key, value]));
    expect(metadata).toMatchObject({ labels: '["a","b"]', 'backbone/weights': 'random, seed 3' });
    expect(JSON.parse(metadata.scales!)).toEqual(scales);
  });

  it('leaves the backbone as it was, and opens after being written', async () => {
    const backbone = decodeModel(writePlainVit(small));
    const before = encodeModel(backbone);
    const { model } = await merge(backbone, last);
    expect(encodeModel(backbone)).toEqual(before);
    const session = await createSession(encodeModel(decodeModel(encodeModel(model))), { threads: 1 });
    expect(session.inputNames).toEqual(['pixel_values']);
    await session.release();
  });
});

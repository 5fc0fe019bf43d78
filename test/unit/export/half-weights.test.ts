import { describe, expect, it } from 'vitest';
import { findBlocks } from '../../../src-main/backbone/find-blocks.ts';
import { writePlainVit } from '../../../src-main/backbone/plain-vit.ts';
import { dimsOf, tensorValues } from '../../../src-main/backbone/tensors.ts';
import { fromHalf, toHalf } from '../../../src-main/engine/half.ts';
import {
  DataType,
  decodeModel,
  encodeModel,
  floatTensor,
  model,
  node,
  valueInfo,
} from '../../../src-main/engine/onnx/model.ts';
import { AttributeProto_AttributeType } from '../../../src-main/engine/onnx/onnx_pb.ts';
import { toOrt } from '../../../src-main/engine/session.ts';
import { withHalfWeights } from '../../../src-main/export/half-weights.ts';
import { mergedModel } from '../../../src-main/export/merged.ts';
import { compareLogits, HALF_TOLERANCE, MERGED_TOLERANCE } from '../../../src-main/export/parity.ts';
import { randomFloats } from '../engine/random-floats.ts';
import { CLASSES, networkCases, randomParameters, someScales } from './networks.ts';
import { floatImages, inAppLogits, runModel } from './tapped.ts';

describe.each(networkCases)('half weights in a merged model of $name', ({ build, pool }) => {
  it('keep the logits within the tolerance, and halve the file', async () => {
    const backbone = decodeModel(writePlainVit({ size: 32, width: 48, blocks: 4, heads: 2, seed: 3 }));
    const structure = findBlocks(backbone);
    const { tokens, width, prefix, blocks, finalNorm } = structure;
    const norm = { scale: finalNorm.scale, shift: finalNorm.bias, epsilon: finalNorm.epsilon };
    const network = build({ tokens, width, prefix }, blocks, norm);
    const trained = { network, pool, parameters: randomParameters(network), scales: someScales(network) };
    const whole = await mergedModel({ backbone, structure, ...trained });
    const half = withHalfWeights(whole);
    expect(encodeModel(half).length / encodeModel(whole).length).toBeLessThan(0.65);
    for (const batch of [1, 3, 32]) {
      const images = floatImages(structure, batch);
      const wanted = await inAppLogits(backbone, structure, trained, images);
      const found = (await runModel(half, { pixel_values: images })).logits!.data as Float32Array;
      const parity = compareLogits(wanted, found, CLASSES, HALF_TOLERANCE);
      expect(parity).toMatchObject({ images: batch, holds: true });
      // It does round.
      expect(parity.maxAbsLogit).toBeGreaterThan(0);
      expect(compareLogits(wanted, found, CLASSES, MERGED_TOLERANCE).bound).toBeLessThan(parity.bound);
    }
  });
});

describe('half weights', () => {
  const width = 16;
  const square = [width, width];
  const values = (seed: number) => randomFloats(width * width, seed);
  const huge = values(3).fill(1e6, 0, 1);
  const before = model({
    name: 'products',
    nodes: [
      node('MatMul', ['x', 'matrix'], ['first']),
      node('Add', ['first', 'bias'], ['second']),
      node('MatMul', ['second', 'huge'], ['third']),
      node('MatMul', ['third', 'constant'], ['y']),
    ],
    inputs: [valueInfo('x', DataType.FLOAT, [1, width])],
    outputs: [valueInfo('y', DataType.FLOAT, [1, width])],
    initializers: [
      floatTensor('matrix', square, values(1)),
      floatTensor('bias', [width], randomFloats(width, 2)),
      floatTensor('huge', square, huge),
    ],
  });
  const constant = node('Constant', [], ['constant']);
  constant.attribute = [
    {
      ...node('X', [], [], { value: 0 }).attribute[0]!,
      type: AttributeProto_AttributeType.TENSOR,
      t: floatTensor('', square, values(4)),
    },
  ];
  before.graph!.node.unshift(constant);

  it('are those of matrices that float16 can hold, initializers and constants alike', async () => {
    const after = withHalfWeights(decodeModel(encodeModel(before)));
    const kept = Object.fromEntries(after.graph!.initializer.map((each) => [each.name, each]));
    expect(Object.fromEntries(Object.entries(kept).map(([name, { dataType }]) => [name, dataType]))).toEqual({
      'adaptor/half/matrix': DataType.FLOAT16,
      bias: DataType.FLOAT,
      huge: DataType.FLOAT,
      'adaptor/half/constant': DataType.FLOAT16,
    });
    expect(dimsOf(kept['adaptor/half/matrix']!)).toEqual(square);
    const rounded = Float32Array.from(values(1), (value) => fromHalf(toHalf(value)));
    expect(Float32Array.from(tensorValues(kept['adaptor/half/matrix']!)!)).toEqual(rounded);
    expect(after.graph!.node.map(({ opType }) => opType)).not.toContain('Constant');
    const x = toOrt({ storage: 'float32', shape: [1, width] }, randomFloats(width, 5));
    const [wanted, found] = [await runModel(before, { x }), await runModel(after, { x })];
    expect(
      compareLogits(wanted.y!.data as Float32Array, found.y!.data as Float32Array, width, HALF_TOLERANCE).holds,
    ).toBe(true);
  });

  it('leave the model as it was', () => {
    const bytes = encodeModel(before);
    withHalfWeights(before);
    expect(encodeModel(before)).toEqual(bytes);
  });
});

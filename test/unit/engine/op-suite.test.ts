/** One suite of ops that every engine passes: values and gradients against TF.js's CPU backend. */
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import { CompiledEngine } from '../../../src-main/engine/compiled.ts';
import { EagerEngine } from '../../../src-main/engine/eager.ts';
import { type Engine, type Program, sizeOf, type Tensors } from '../../../src-main/engine/program.ts';
import { randomFloats } from './random-floats.ts';

type Op = (a: tf.Tensor, b: tf.Tensor) => tf.Tensor;
interface Case {
  name: string;
  a: number[];
  b?: number[];
  op: Op;
  /** Gradients are compared too unless the op has none. */
  gradient?: false;
  positive?: true;
}

const cases: Case[] = [
  { name: 'add broadcast', a: [3, 4], b: [4], op: (a, b) => tf.add(a, b) },
  { name: 'sub broadcast left', a: [4], b: [3, 4], op: (a, b) => tf.sub(a, b) },
  { name: 'mul scalar', a: [2, 3], b: [], op: (a, b) => tf.mul(a, b) },
  { name: 'mul outer broadcast', a: [3, 1], b: [1, 4], op: (a, b) => tf.mul(a, b) },
  { name: 'div', a: [2, 3], b: [2, 3], op: (a, b) => tf.div(a, b), positive: true },
  {
    name: 'floorDiv',
    a: [2, 3],
    b: [2, 3],
    op: (a, b) => tf.cast(tf.floorDiv(a, b), 'float32'),
    positive: true,
    gradient: false,
  },
  { name: 'squaredDifference', a: [2, 3], b: [2, 3], op: (a, b) => tf.squaredDifference(a, b) },
  { name: 'maximum', a: [4, 3], b: [4, 3], op: (a, b) => tf.maximum(a, b) },
  { name: 'minimum', a: [4, 3], b: [4, 3], op: (a, b) => tf.minimum(a, b) },
  { name: 'pow', a: [2, 3], b: [2, 3], op: (a, b) => tf.pow(a, b), positive: true },
  {
    name: 'where greater',
    a: [2, 3],
    b: [2, 3],
    op: (a, b) => tf.where(tf.greater(a, b), a, tf.mul(b, 2)),
    gradient: false,
  },
  {
    name: 'comparisons',
    a: [2, 3],
    b: [2, 3],
    op: (a, b) =>
      tf.addN(
        [
          tf.equal(a, a),
          tf.notEqual(a, b),
          tf.lessEqual(a, b),
          tf.greaterEqual(a, b),
          tf.logicalAnd(tf.greater(a, 0), tf.greater(b, 0)),
          tf.logicalOr(tf.greater(a, 0), tf.logicalNot(tf.greater(b, 0))),
        ].map((t) => tf.cast(t, 'float32')),
      ),
    gradient: false,
  },
  ...(
    [
      'abs',
      'exp',
      'expm1',
      'neg',
      'sigmoid',
      'sin',
      'cos',
      'tan',
      'sinh',
      'cosh',
      'tanh',
      'erf',
      'relu',
      'relu6',
      'elu',
      'square',
      'softplus',
      'atan',
      'asinh',
    ] as const
  ).map((name) => ({ name, a: [3, 5], op: ((a) => (tf[name] as (x: tf.Tensor) => tf.Tensor)(a)) as Op })),
  ...(['log', 'log1p', 'sqrt', 'rsqrt', 'reciprocal'] as const).map((name) => ({
    name,
    a: [3, 5],
    positive: true as const,
    op: ((a) => (tf[name] as (x: tf.Tensor) => tf.Tensor)(a)) as Op,
  })),
  ...(['floor', 'ceil', 'round', 'sign'] as const).map((name) => ({
    name,
    a: [3, 5],
    gradient: false as const,
    op: ((a) => (tf[name] as (x: tf.Tensor) => tf.Tensor)(a)) as Op,
  })),
  { name: 'gelu', a: [3, 5], op: (a) => tf.mul(tf.mul(a, 0.5), tf.add(1, tf.erf(tf.div(a, Math.SQRT2)))) },
  { name: 'leakyRelu', a: [3, 5], op: (a) => tf.leakyRelu(a, 0.1) },
  { name: 'clipByValue', a: [3, 5], op: (a) => tf.clipByValue(a, -0.5, 0.5) },
  { name: 'step', a: [3, 5], op: (a) => tf.step(a, 0.25), gradient: false },
  { name: 'isNaN', a: [3], op: (a) => tf.cast(tf.isNaN(a), 'float32'), gradient: false },
  { name: 'matMul', a: [3, 4], b: [4, 5], op: (a, b) => tf.matMul(a, b) },
  { name: 'matMul transposed', a: [4, 3], b: [5, 4], op: (a, b) => tf.matMul(a, b, true, true) },
  { name: 'matMul batched', a: [2, 3, 4], b: [2, 5, 4], op: (a, b) => tf.matMul(a, b, false, true) },
  { name: 'matMul batched, transpose a', a: [2, 2, 4, 3], b: [2, 2, 4, 5], op: (a, b) => tf.matMul(a, b, true, false) },
  { name: 'dot of vectors', a: [4], b: [4], op: (a, b) => tf.dot(a, b) },
  { name: 'sum all', a: [2, 3, 4], op: (a) => tf.sum(a) },
  { name: 'sum axis', a: [2, 3, 4], op: (a) => tf.sum(a, [0, -1]) },
  { name: 'sum keepDims', a: [2, 3], op: (a) => tf.mul(a, tf.sum(a, 1, true)) },
  { name: 'sum of booleans', a: [2, 3], op: (a) => tf.cast(tf.sum(tf.greater(a, 0), 1), 'float32'), gradient: false },
  { name: 'mean', a: [2, 3, 4], op: (a) => tf.mean(a, 1) },
  { name: 'moments', a: [4, 6], op: (a) => tf.add(tf.moments(a, 1).mean, tf.moments(a, 1).variance) },
  { name: 'max', a: [3, 4], op: (a) => tf.max(a, 1) },
  { name: 'min', a: [3, 4], op: (a) => tf.min(a, 0) },
  { name: 'prod', a: [3, 4], op: (a) => tf.prod(a, 1), gradient: false },
  { name: 'logSumExp', a: [3, 4], op: (a) => tf.logSumExp(a, 1) },
  { name: 'argMax', a: [3, 4], op: (a) => tf.cast(tf.argMax(a, 1), 'float32'), gradient: false },
  { name: 'argMin', a: [3, 4], op: (a) => tf.cast(tf.argMin(a, 0), 'float32'), gradient: false },
  { name: 'softmax', a: [2, 3, 4], op: (a) => tf.softmax(a) },
  { name: 'logSoftmax', a: [3, 4], op: (a) => tf.logSoftmax(a) },
  { name: 'cumsum', a: [3, 4], op: (a) => tf.cumsum(a, 1, true, true) },
  { name: 'reshape', a: [2, 6], op: (a) => tf.square(tf.reshape(a, [3, -1])) },
  { name: 'expandDims squeeze', a: [2, 3], op: (a) => tf.squeeze(tf.square(tf.expandDims(a, -1)), [2]) },
  { name: 'transpose', a: [2, 3, 4], op: (a) => tf.square(tf.transpose(a, [2, 0, 1])) },
  { name: 'broadcastTo', a: [3, 1], op: (a) => tf.square(tf.broadcastTo(a, [3, 4])) },
  { name: 'tile', a: [2, 3], op: (a) => tf.square(tf.tile(a, [2, 2])) },
  { name: 'concat', a: [2, 3], b: [2, 2], op: (a, b) => tf.square(tf.concat([a, b], 1)) },
  { name: 'stack', a: [2, 3], b: [2, 3], op: (a, b) => tf.square(tf.stack([a, b], -1)) },
  { name: 'unstack', a: [3, 2], op: (a) => tf.addN(tf.unstack(tf.square(a), 0)) },
  {
    name: 'split',
    a: [2, 6],
    op: (a) => {
      const [x, y] = tf.split(a, [2, 4], 1);
      return tf.add(tf.sum(tf.square(x!)), tf.sum(y!));
    },
  },
  { name: 'slice', a: [4, 5], op: (a) => tf.square(tf.slice(a, [1, 2], [2, -1])) },
  { name: 'stridedSlice', a: [4, 5], op: (a) => tf.stridedSlice(a, [0, 4], [4, 0], [2, -2]), gradient: false },
  {
    name: 'pad',
    a: [2, 3],
    op: (a) =>
      tf.square(
        tf.pad(
          a,
          [
            [1, 0],
            [0, 2],
          ],
          0.5,
        ),
      ),
  },
  { name: 'reverse', a: [2, 3], op: (a) => tf.mul(a, tf.reverse(a, 1)) },
  { name: 'gather', a: [4, 3], op: (a) => tf.gather(a, tf.tensor1d([2, 0, 2], 'int32')), gradient: false },
  {
    name: 'oneHot',
    a: [3],
    op: (a) => tf.cast(tf.oneHot(tf.cast(tf.step(a), 'int32'), 3), 'float32'),
    gradient: false,
  },
  {
    name: 'fill, ones, zeros',
    a: [3, 40],
    op: (a) => tf.add(tf.mul(a, tf.ones([3, 40])), tf.add(tf.fill([3, 40], 0.5), tf.zerosLike(a))),
  },
  {
    name: 'dense constant',
    a: [2, 3],
    op: (a) =>
      tf.mul(
        a,
        tf.tensor2d([
          [1, 2, 3],
          [4, 5, 6],
        ]),
      ),
  },
  { name: 'range', a: [4], op: (a) => tf.mul(a, tf.range(0, 4)) },
  { name: 'uniform times uniform', a: [2, 20], op: (a) => tf.add(a, tf.mul(tf.ones([2, 20]), tf.fill([2, 20], 3))) },
];

const engines: Engine[] = [new CompiledEngine({ threads: 1 }), new EagerEngine()];

describe.each(engines.map((engine) => [engine.name, engine] as const))('%s engine', (_, engine) => {
  it.each(cases.map((each) => [each.name, each] as const))('%s', async (_name, each) => {
    const feeds = {
      a: randomFloats(sizeOf(each.a), 1, each.positive),
      b: randomFloats(sizeOf(each.b ?? [1]), 2, each.positive),
    };
    const program: Program = {
      inputs: { a: { shape: each.a, storage: 'float32' }, b: { shape: each.b ?? [1], storage: 'float32' } },
      run: ({ a, b }: Tensors) => valuesAndGradients(each, a!, b!),
    };
    const executable = await engine.compile(program);
    const found = await executable.run(feeds);
    await executable.dispose();
    const expected = await (await new EagerEngine().compile(program)).run(feeds);
    expect(Object.keys(found)).toEqual(Object.keys(expected));
    for (const [name, values] of Object.entries(expected)) {
      expect(executable.outputs[name]!.shape.reduce((size, n) => size * n, 1)).toBe(values.length);
      for (let i = 0; i < values.length; i++) expect(found[name]![i]).toBeCloseTo(values[i]!, 4);
    }
  });
});

/** The op's value, and the gradients of a sum that weighs every element differently. */
function valuesAndGradients({ op, gradient, b: shapeOfB }: Case, a: tf.Tensor, b: tf.Tensor): Tensors {
  const value = op(a, b);
  if (gradient === false) return { value };
  const weighted = (x: tf.Tensor, y: tf.Tensor) => {
    const result = op(x, y);
    const weights = tf.reshape(tf.range(1, result.size + 1), result.shape);
    return tf.sum(tf.mul(result, weights)) as tf.Scalar;
  };
  if (!shapeOfB) return { value, da: tf.grad((x: tf.Tensor) => weighted(x, b))(a) };
  const [da, db] = tf.grads(weighted)([a, b]);
  return { value, da: da!, db: db! };
}

/** Twenty optimizer steps of networks that are none of ours: the compiled engine against TF.js's CPU backend. */
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import { CompiledEngine } from '../../../src-main/engine/compiled.ts';
import { EagerEngine } from '../../../src-main/engine/eager.ts';
import type { Buffers } from '../../../src-main/engine/program.ts';
import { last } from '../../../src-main/methods/last.ts';
import { miet } from '../../../src-main/methods/miet.ts';
import type { Network, ParameterSpec } from '../../../src-main/methods/network.ts';
import { ParameterLayout } from '../../../src-main/training/parameters.ts';
import { gradientProgram, logitsProgram, type BatchShape } from '../../../src-main/training/programs.ts';
import { distance } from '../distance.ts';
import { randomFloats } from '../engine/random-floats.ts';
import { batch, classes, compareTraining, featuresFor, layout, trainSteps } from './train-steps.ts';

const STEPS = 20;

function spec(name: string, shape: number[], part: 'side' | 'head' = 'side'): ParameterSpec {
  const matrix = shape.length > 1;
  return { name, shape, part, decay: matrix, initial: matrix ? { deviation: shape[0]! ** -0.5 } : { value: 0 } };
}

const mlp: Network = {
  maps: [],
  usesBase: true,
  modules: 0,
  parameters: [
    spec('hidden.weight', [16, 24]),
    spec('hidden.bias', [24]),
    spec('head.weight', [24, classes], 'head'),
    spec('head.bias', [classes], 'head'),
  ],
  logits: (p, { base }) => {
    const hidden = tf.relu(
      tf.add(tf.matMul(base as tf.Tensor2D, p['hidden.weight'] as tf.Tensor2D), p['hidden.bias']!),
    );
    return tf.add(tf.matMul(hidden as tf.Tensor2D, p['head.weight'] as tf.Tensor2D), p['head.bias']!);
  },
};

/** A pre-LN ViT block (Dosovitskiy et al., arXiv 2010.11929) with two heads, biases on query, key and value, and GELU. */
const vitBlock: Network = {
  maps: [{ kind: 'S', index: 1 }],
  usesBase: false,
  modules: 0,
  parameters: [
    { ...spec('norm1.scale', [16]), initial: { value: 1 } },
    spec('norm1.shift', [16]),
    ...['query', 'key', 'value', 'out'].flatMap((name) => [
      spec(`${name}.weight`, [16, 16]),
      spec(`${name}.bias`, [16]),
    ]),
    { ...spec('norm2.scale', [16]), initial: { value: 1 } },
    spec('norm2.shift', [16]),
    spec('mlp1.weight', [16, 32]),
    spec('mlp1.bias', [32]),
    spec('mlp2.weight', [32, 16]),
    spec('mlp2.bias', [16]),
    spec('head.weight', [16, classes], 'head'),
    spec('head.bias', [classes], 'head'),
  ],
  logits: (p, { maps }) => {
    const x = maps[0]!;
    const dense = (y: tf.Tensor, name: string) => {
      const [b, n, d] = y.shape as [number, number, number];
      const w = p[`${name}.weight`] as tf.Tensor2D;
      return tf.add(
        tf.reshape(tf.matMul(tf.reshape(y, [b * n, d]) as tf.Tensor2D, w), [b, n, w.shape[1]]),
        p[`${name}.bias`]!,
      );
    };
    const norm = (y: tf.Tensor, name: string) => {
      const { mean, variance } = tf.moments(y, -1, true);
      return tf.add(
        tf.mul(tf.mul(tf.sub(y, mean), tf.rsqrt(tf.add(variance, 1e-6))), p[`${name}.scale`]!),
        p[`${name}.shift`]!,
      );
    };
    const heads = (y: tf.Tensor) => tf.transpose(tf.reshape(y, [y.shape[0]!, y.shape[1]!, 2, 8]), [0, 2, 1, 3]);
    const y = norm(x, 'norm1');
    const weights = tf.softmax(
      tf.mul(tf.matMul(heads(dense(y, 'query')), heads(dense(y, 'key')), false, true), 8 ** -0.5),
    );
    const attended = tf.reshape(tf.transpose(tf.matMul(weights, heads(dense(y, 'value'))), [0, 2, 1, 3]), x.shape);
    const middle = tf.add(x, dense(attended, 'out'));
    const hidden = dense(norm(middle, 'norm2'), 'mlp1');
    const gelu = tf.mul(tf.mul(hidden, 0.5), tf.add(1, tf.erf(tf.mul(hidden, Math.SQRT1_2))));
    const result = tf.mean(tf.add(middle, dense(gelu, 'mlp2')), 1);
    return tf.add(tf.matMul(result as tf.Tensor2D, p['head.weight'] as tf.Tensor2D), p['head.bias']!);
  },
};

const norm = { scale: randomFloats(16, 90, true), shift: randomFloats(16, 91), epsilon: 1e-6 };
const networks: [string, Network, boolean][] = [
  ['an MLP', mlp, false],
  ['a ViT block', vitBlock, false],
  [
    'LAST, plain',
    last({ layout, norm, classes, blocks: 3, group: 1, depth: 1, rank: 4, pool: 'mean', form: 'plain' }),
    false,
  ],
  [
    'LAST, low-rank',
    last({ layout, norm, classes, blocks: 3, group: 1, depth: 2, rank: 4, pool: 'cls', form: 'low-rank' }),
    true,
  ],
  ['MIET, plain', miet({ layout, classes, upto: 2, depth: 2, rank: 4, pool: 'mean', form: 'plain' }), false],
];

describe.each(networks)('%s', (_name, network, rowSums) => {
  it(`has the reference's parameters, losses and logits after ${STEPS} steps`, async () => {
    const compiled = await trainSteps(new CompiledEngine({ threads: 1 }), network, rowSums, STEPS);
    const eager = await trainSteps(new EagerEngine(), network, rowSums, STEPS);
    const differences = compareTraining(compiled, eager);
    expect(differences.length).toBeGreaterThan(network.parameters.length / 2);
    for (const { name, gradient, trained } of differences) {
      expect(gradient, `gradient of ${name}`).toBeLessThan(1e-4);
      expect(trained, name).toBeLessThan(1e-4);
    }
    expect(distance(compiled.losses, eager.losses)).toBeLessThan(1e-5);
    expect(distance(compiled.logits, eager.logits)).toBeLessThan(1e-4);
    // It learns: the last pass over the three batches is better than the first.
    expect(compiled.losses.at(-1)!).toBeLessThan(compiled.losses[(STEPS - 1) % 3]!);
  });
});

it('gives the same bits when run again', async () => {
  const [, network, rowSums] = networks[2]!;
  const first = await trainSteps(new CompiledEngine({ threads: 1 }), network, rowSums, 5);
  const second = await trainSteps(new CompiledEngine({ threads: 1 }), network, rowSums, 5);
  expect(Buffer.from(second.trained.buffer).equals(Buffer.from(first.trained.buffer))).toBe(true);
});

it('adds micro-batches up to the batch', async () => {
  const [, network] = networks[2]!;
  const parameters = new ParameterLayout(network.parameters);
  const engine = new CompiledEngine({ threads: 1 });
  const features = featuresFor(network, false, 7);
  const labels = Int32Array.from([0, 1, 2, 3, 0]);
  const weights = Float32Array.from([0.2, 0.2, 0.2, 0.2, 0.2]);
  const start = {
    parameters: parameters.initialize(5).map((value, index) => value + 0.1 * Math.sin(index)),
    smoothing: Float32Array.of(0),
  };
  const compile = (size: number) =>
    engine.compile(
      gradientProgram(network, parameters, {
        batch: size,
        layout,
        scales: network.maps.map(() => 1),
        rowSums: false,
        dropPath: false,
      }),
    );
  const whole = await (
    await compile(batch)
  ).run({
    ...start,
    gradient: new Float32Array(parameters.size),
    loss: new Float32Array(1),
    labels,
    weights,
    ...features,
  });
  // The answers that the gradient is of: no second pass is needed to count those that were right.
  const shape = { batch, layout, scales: network.maps.map(() => 1), rowSums: false, dropPath: false };
  const evaluated = await (
    await engine.compile(logitsProgram(network, parameters, shape))
  ).run({ parameters: start.parameters, ...features });
  expect(distance(whole.logits!, evaluated.logits!)).toBeLessThan(1e-6);
  const single = await compile(1);
  let sums: Buffers = { gradient_out: new Float32Array(parameters.size), loss_out: new Float32Array(1) };
  for (let image = 0; image < batch; image++) {
    const cut = Object.fromEntries(
      Object.entries(features).map(([name, values]) => [
        name,
        values.subarray((image * values.length) / batch, ((image + 1) * values.length) / batch),
      ]),
    );
    sums = await single.run({
      ...start,
      gradient: sums.gradient_out!,
      loss: sums.loss_out!,
      labels: labels.subarray(image, image + 1),
      weights: weights.subarray(image, image + 1),
      ...cut,
    });
  }
  expect(distance(sums.gradient_out!, whole.gradient_out!)).toBeLessThan(1e-5);
  expect(sums.loss_out![0]).toBeCloseTo(whole.loss_out![0]!, 5);
});

it('agrees with finite differences through a ViT block', async () => {
  const parameters = new ParameterLayout(vitBlock.parameters);
  const shape: BatchShape = { batch, layout, scales: [1], rowSums: false, dropPath: false };
  const executable = await new CompiledEngine({ threads: 1 }).compile(gradientProgram(vitBlock, parameters, shape));
  const start = parameters.initialize(3);
  const at = async (vector: Float32Array) =>
    executable.run({
      parameters: vector,
      gradient: new Float32Array(parameters.size),
      loss: new Float32Array(1),
      labels: Int32Array.from([0, 1, 2, 3, 0]),
      weights: Float32Array.from([0.3, 0.2, 0.2, 0.3, 0]),
      smoothing: Float32Array.of(0.1),
      ...featuresFor(vitBlock, false, 11),
    });
  const { gradient_out: gradient } = await at(start);
  const step = 1e-2;
  for (const { name, offset, size } of parameters.parameters) {
    const place = offset + Math.floor(size / 3);
    const moved = async (by: number) => {
      const vector = start.slice();
      vector[place]! += by;
      return (await at(vector)).loss_out![0]!;
    };
    expect(((await moved(step)) - (await moved(-step))) / (2 * step), name).toBeCloseTo(gradient![place]!, 3);
  }
});

import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import { CompiledEngine } from '../../../src-main/engine/compiled.ts';
import { EagerEngine } from '../../../src-main/engine/eager.ts';
import type { Buffers, Engine, Program, Tensors } from '../../../src-main/engine/program.ts';
import { last } from '../../../src-main/methods/last.ts';
import { linear } from '../../../src-main/methods/linear.ts';
import { crossEntropy } from '../../../src-main/methods/loss.ts';
import { miet } from '../../../src-main/methods/miet.ts';
import type { Network, Pool, StepForm } from '../../../src-main/methods/network.ts';
import { ParameterLayout } from '../../../src-main/training/parameters.ts';
import { distance } from '../distance.ts';
import { randomFloats } from '../engine/random-floats.ts';
import * as definition from './definitions.ts';

const layout = { tokens: 10, width: 16, prefix: 1 };
const batch = 3;
const blocks = 4;
const classes = 5;
const norm = { scale: randomFloats(16, 90, true), shift: randomFloats(16, 91), epsilon: 1e-6 };
const engines: Engine[] = [new CompiledEngine({ threads: 1 }), new EagerEngine()];

type Logits = (parameters: Record<string, tf.Tensor>, inputs: Tensors) => tf.Tensor;

/** Loss and all gradients of a method, `z_0 .. z_L` given, with every parameter random. */
async function lossAndGradients(engine: Engine, network: Network, logits: Logits, keep = false): Promise<Buffers> {
  const parameters = new ParameterLayout(network.parameters);
  const inputs: Program['inputs'] = {
    parameters: { shape: [parameters.size], storage: 'float32' },
    labels: { shape: [batch], storage: 'int32' },
    ...Object.fromEntries(
      Array.from({ length: blocks + 1 }, (_, i) => [
        `z${i}`,
        { shape: [batch, layout.tokens, layout.width], storage: 'float32' as const },
      ]),
    ),
    ...(keep ? { keep: { shape: [batch, network.modules], storage: 'float32' as const } } : {}),
  };
  const program: Program = {
    inputs,
    run: (given) => {
      const cut = parameters.cut(given.parameters as tf.Tensor1D);
      const names = Object.keys(cut);
      const { value, grads } = tf.valueAndGrads((...tensors: tf.Tensor[]) => {
        const named = Object.fromEntries(names.map((name, i) => [name, tensors[i]!]));
        return tf.mean(crossEntropy(logits(named, given) as tf.Tensor2D, given.labels as tf.Tensor1D, 0.1));
      })(Object.values(cut));
      return { loss: tf.reshape(value, [1]), ...Object.fromEntries(names.map((name, i) => [name, grads[i]!])) };
    },
  };
  const feeds: Buffers = {
    parameters: randomFloats(parameters.size, 7).map((x) => x * 0.4),
    labels: Int32Array.from([0, 3, 4]),
  };
  for (let i = 0; i <= blocks; i++) feeds[`z${i}`] = randomFloats(batch * layout.tokens * layout.width, 20 + i);
  if (keep) feeds.keep = Float32Array.from({ length: batch * network.modules }, (_, i) => (i % 3 === 0 ? 0 : 1.25));
  const executable = await engine.compile(program);
  const results = await executable.run(feeds);
  await executable.dispose();
  return results;
}

function zs(inputs: Tensors): tf.Tensor[] {
  return Array.from({ length: blocks + 1 }, (_, i) => inputs[`z${i}`]!);
}

/** The network's own features from z_0 .. z_L, base and row sums included. */
function viaNetwork(network: Network, pool: Pool): Logits {
  return (parameters, inputs) => {
    const z = zs(inputs);
    const maps = network.maps.map((map) =>
      map.kind === 'S'
        ? tf.addN(z.slice(0, map.index + 1))
        : tf.addN(z.filter((_, i) => i % map.group === 0 && i <= map.group * map.index)),
    );
    const last = z.at(-1)!;
    const base =
      pool === 'cls'
        ? tf.squeeze(tf.slice(last, [0, 0, 0], [-1, 1, -1]), [1])
        : tf.mean(tf.slice(last, [0, 1, 0], [-1, -1, -1]), 1);
    return network.logits(parameters, {
      maps,
      rowSums: maps.map((map) => tf.sum(map, 2)),
      rowSquareSums: maps.map((map) => tf.sum(tf.square(map), 2)),
      base,
      keep: inputs.keep,
    });
  };
}

function expectClose(found: Buffers, expected: Buffers, tolerance: number): void {
  expect(Object.keys(found)).toEqual(Object.keys(expected));
  for (const [name, values] of Object.entries(expected))
    expect(distance(found[name]!, values), name).toBeLessThan(tolerance);
}

describe.each(engines.map((engine) => [engine.name, engine] as const))('%s engine', (_name, engine) => {
  const cases = (['plain', 'low-rank'] as const).flatMap((form) =>
    (['cls', 'mean'] as const).flatMap((pool) =>
      [1, 2].map((depth) => [form, pool, depth] as [StepForm, Pool, number]),
    ),
  );

  it.each(cases)(
    'LAST, %s form, %s pool, depth %i: loss and gradients of the definition',
    async (form, pool, depth) => {
      for (const group of [1, 2]) {
        const network = last({ layout, norm, classes, blocks, group, depth, rank: 3, pool, form });
        const found = await lossAndGradients(engine, network, viaNetwork(network, pool), true);
        const reference: Logits = (parameters, inputs) =>
          definition.last(
            parameters,
            zs(inputs).filter((_, i) => i % group === 0),
            depth,
            pool,
            1,
            norm,
            inputs.keep,
          );
        const expected = await lossAndGradients(new EagerEngine(), network, reference, true);
        expectClose(found, expected, 1e-5);
      }
    },
  );

  it.each(cases)(
    'MIET, %s form, %s pool, depth %i: loss and gradients of the definition',
    async (form, pool, depth) => {
      const network = miet({ layout, classes, upto: 3, depth, rank: 3, pool, form });
      const found = await lossAndGradients(engine, network, viaNetwork(network, pool), true);
      const reference: Logits = (parameters, inputs) =>
        definition.miet(parameters, tf.addN(zs(inputs).slice(0, 4)), depth, pool, 1, inputs.keep);
      expectClose(found, await lossAndGradients(new EagerEngine(), network, reference, true), 1e-5);
    },
  );

  it.each(['cls', 'mean'] as const)('linear, %s pool: loss and gradients of the definition', async (pool) => {
    const network = linear({ layout, norm, classes });
    const found = await lossAndGradients(engine, network, viaNetwork(network, pool));
    const reference: Logits = (parameters, inputs) => definition.linear(parameters, zs(inputs).at(-1)!, pool, 1, norm);
    expectClose(found, await lossAndGradients(new EagerEngine(), network, reference), 1e-5);
  });
});

it.each(['plain', 'low-rank'] as const)('LAST as it is initialised is linear probing (%s form)', async (form) => {
  const network = last({ layout, norm, classes, blocks, group: 1, depth: 2, rank: 3, pool: 'mean', form });
  const layoutOf = new ParameterLayout(network.parameters);
  const initial = layoutOf.initialize(4);
  const program = (logits: Logits): Program => ({
    inputs: {
      parameters: { shape: [layoutOf.size], storage: 'float32' },
      ...Object.fromEntries(
        Array.from({ length: blocks + 1 }, (_, i) => [
          `z${i}`,
          { shape: [batch, layout.tokens, layout.width], storage: 'float32' as const },
        ]),
      ),
    },
    run: (inputs) => ({ logits: logits(layoutOf.cut(inputs.parameters as tf.Tensor1D), inputs) }),
  });
  const feeds: Buffers = { parameters: initial };
  for (let i = 0; i <= blocks; i++) feeds[`z${i}`] = randomFloats(batch * layout.tokens * layout.width, 20 + i);
  const engine = new CompiledEngine({ threads: 1 });
  const found = await (await engine.compile(program(viaNetwork(network, 'mean')))).run(feeds);
  const expected = await (
    await engine.compile(
      program((parameters, inputs) => definition.linear(parameters, zs(inputs).at(-1)!, 'mean', 1, norm)),
    )
  ).run(feeds);
  expect(distance(found.logits!, expected.logits!)).toBeLessThan(1e-6);
  expect(found.logits!.some((logit) => Math.abs(logit) > 1e-3)).toBe(true);
});

it('refuses a group that does not divide the blocks', () => {
  expect(() =>
    last({ layout, norm, classes, blocks, group: 3, depth: 1, rank: 2, pool: 'cls', form: 'plain' }),
  ).toThrow('Group 3 does not divide');
});

it('agrees with finite differences', async () => {
  const network = last({ layout, norm, classes, blocks, group: 2, depth: 1, rank: 3, pool: 'mean', form: 'plain' });
  const parameters = new ParameterLayout(network.parameters);
  const logits = viaNetwork(network, 'mean');
  const program: Program = {
    inputs: {
      parameters: { shape: [parameters.size], storage: 'float32' },
      labels: { shape: [batch], storage: 'int32' },
      ...Object.fromEntries(
        Array.from({ length: blocks + 1 }, (_, i) => [
          `z${i}`,
          { shape: [batch, layout.tokens, layout.width], storage: 'float32' as const },
        ]),
      ),
    },
    run: (inputs) => ({
      loss: tf.reshape(
        tf.mean(
          crossEntropy(
            logits(parameters.cut(inputs.parameters as tf.Tensor1D), inputs) as tf.Tensor2D,
            inputs.labels as tf.Tensor1D,
            0.1,
          ),
        ),
        [1],
      ),
    }),
  };
  const executable = await new CompiledEngine({ threads: 1 }).compile(program);
  const gradients = await lossAndGradients(new CompiledEngine({ threads: 1 }), network, logits);
  const feeds: Buffers = {
    parameters: randomFloats(parameters.size, 7).map((x) => x * 0.4),
    labels: Int32Array.from([0, 3, 4]),
  };
  for (let i = 0; i <= blocks; i++) feeds[`z${i}`] = randomFloats(batch * layout.tokens * layout.width, 20 + i);
  const step = 1e-2;
  for (const { name, offset, size } of parameters.parameters) {
    const place = Math.floor(size / 2);
    const lossAt = async (by: number) => {
      const moved = feeds.parameters!.slice();
      moved[offset + place]! += by;
      return (await executable.run({ ...feeds, parameters: moved })).loss![0]!;
    };
    const slope = ((await lossAt(step)) - (await lossAt(-step))) / (2 * step);
    expect(slope, name).toBeCloseTo(gradients[name]![place]!, 3);
  }
});

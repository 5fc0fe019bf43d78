/** Where a side network looks, against the definition worked out with loops on a network small enough to follow. */
import { describe, expect, it } from 'vitest';
import { CompiledEngine } from '../../../src-main/engine/compiled.ts';
import { EagerEngine } from '../../../src-main/engine/eager.ts';
import { floatsToHalves, halvesToFloats } from '../../../src-main/engine/half.ts';
import type { Buffers, Engine } from '../../../src-main/engine/program.ts';
import { last } from '../../../src-main/methods/last.ts';
import { linear } from '../../../src-main/methods/linear.ts';
import { miet } from '../../../src-main/methods/miet.ts';
import type { Network, Pool } from '../../../src-main/methods/network.ts';
import { attentionProgram } from '../../../src-main/training/attention-program.ts';
import { ParameterLayout } from '../../../src-main/training/parameters.ts';
import { distance } from '../distance.ts';
import { randomFloats } from '../engine/random-floats.ts';

const layout = { tokens: 4, width: 3, prefix: 1 };
const { tokens, width, prefix } = layout;
const rank = 2;
const batch = 2;
const classes = 2;
const norm = { scale: new Float32Array(width).fill(1), shift: new Float32Array(width), epsilon: 1e-6 };

type Matrix = number[][];
const product = (a: Matrix, b: Matrix): Matrix =>
  a.map((row) => b[0]!.map((_, column) => row.reduce((sum, value, i) => sum + value * b[i]![column]!, 0)));
const sumOf = (a: Matrix, b: Matrix): Matrix => a.map((row, i) => row.map((value, j) => value + b[i]![j]!));
const rows = (values: Float32Array, columns: number): Matrix =>
  Array.from({ length: values.length / columns }, (_, i) => [...values.slice(i * columns, (i + 1) * columns)]);

function softmaxOf(row: number[]): number[] {
  const exponentials = row.map((value) => Math.exp(value));
  const total = exponentials.reduce((sum, value) => sum + value, 0);
  return exponentials.map((value) => value / total);
}

/** What is drawn of one image, straight from the words of `AttentionMaps`; `maps` [tokens][width] each. */
function byHand(views: Record<string, Float32Array>, maps: Matrix[], depth: number, pool: Pool) {
  const pooling =
    pool === 'cls'
      ? [[1, 0, 0, 0]]
      : [Array.from({ length: tokens }, (_, i) => (i < prefix ? 0 : 1 / (tokens - prefix)))];
  let added: Matrix = maps[0]!.map((row) => row.map(() => 0));
  const matrices: Matrix[] = [];
  const increments: number[] = [];
  for (let index = 0; index < maps.length * depth; index++) {
    const at = (part: string) => views[`modules.${index}.${part}`]!;
    const state = sumOf(maps[Math.floor(index / depth)]!, added);
    const normalized = state.map((row) => {
      const mean = row.reduce((sum, value) => sum + value, 0) / width;
      const variance = row.reduce((sum, value) => sum + (value - mean) ** 2, 0) / width;
      return row.map((value, i) => {
        const standard = (value - mean) / Math.sqrt(variance + 1e-6);
        return standard * at('norm.scale')[i]! + at('norm.shift')[i]!;
      });
    });
    const qkv = product(normalized, rows(at('qkv'), 3 * rank));
    const part = (which: number) => qkv.map((row) => row.slice(which * rank, (which + 1) * rank));
    const [q, k, v] = [part(0), part(1), part(2)];
    const weights = q.map((query) =>
      softmaxOf(k.map((key) => query.reduce((sum, value, i) => sum + value * key[i]!, 0) / Math.sqrt(rank))),
    );
    const increment = product(product(weights, v), rows(at('out'), width));
    matrices.push(weights);
    increments.push(Math.hypot(...product(pooling, increment)[0]!));
    added = sumOf(added, increment);
  }
  let rolled = pooling;
  for (const weights of matrices.toReversed())
    rolled = sumOf(product(rolled, weights), rolled).map((row) => row.map((value) => value / 2));
  return { received: matrices.map((weights) => product(pooling, weights)[0]!), rollout: rolled[0]!, increments };
}

async function attentionBy(engine: Engine, network: Network): Promise<{ found: Buffers; expected: Buffers }> {
  const parameters = new ParameterLayout(network.parameters);
  const scales = network.maps.map((_, index) => 2 ** index);
  const program = attentionProgram(network, parameters, { batch, layout, scales, rowSums: false, dropPath: false })!;
  const vector = randomFloats(parameters.size, 3);
  const feeds: Buffers = { parameters: vector };
  const size = tokens * width;
  network.maps.forEach((_, i) => (feeds[`map_${i}`] = floatsToHalves(randomFloats(batch * size, 10 + i))));
  if (network.usesBase) feeds.base = randomFloats(batch * width, 4);
  const executable = await engine.compile(program);
  const found = await executable.run(feeds);
  await executable.dispose();
  const pool: Pool = network.maps[0]!.kind === 'P' ? 'cls' : 'mean';
  const depth = network.modules / network.maps.length;
  const drawn = Array.from({ length: batch }, (_, image) =>
    byHand(
      parameters.views(vector),
      network.maps.map((_, i) => {
        const map = halvesToFloats(feeds[`map_${i}`] as Uint16Array).map((value) => value * scales[i]!);
        return rows(map.slice(image * size, (image + 1) * size), width);
      }),
      depth,
      pool,
    ),
  );
  const flat = (of: (one: (typeof drawn)[number]) => number[]) => Float32Array.from(drawn.flatMap(of));
  return {
    found,
    expected: {
      received: flat(({ received }) => received.flat()),
      rollout: flat(({ rollout }) => rollout),
      increments: flat(({ increments }) => increments),
    },
  };
}

const networks: Record<string, Network> = {
  'LAST, two blocks, CLS': last({
    ...{ layout, norm, classes, blocks: 2, group: 1, depth: 2, rank, pool: 'cls', form: 'plain' },
  }),
  'MIET, patch mean': miet({ layout, classes, upto: 2, depth: 2, rank, pool: 'mean', form: 'plain' }),
};

describe.each([new CompiledEngine({ threads: 1 }), new EagerEngine()])('attention maps, $name', (engine) => {
  it.each(Object.keys(networks))('are those of the definition: %s', async (name) => {
    const { found, expected } = await attentionBy(engine, networks[name]!);
    for (const [output, values] of Object.entries(expected))
      expect(distance(found[output]!, values), output).toBeLessThan(1e-5);
  });

  it.each(Object.keys(networks))('are shares that sum to 1: %s', async (name) => {
    const { found } = await attentionBy(engine, networks[name]!);
    for (const output of ['received', 'rollout'])
      for (const row of rows(found[output] as Float32Array, tokens)) {
        expect(Math.min(...row), output).toBeGreaterThan(0);
        expect(row.reduce((sum, share) => sum + share, 0)).toBeCloseTo(1, 5);
      }
  });
});

it('has nothing to draw of a linear probe', () => {
  const network = linear({ layout, norm, classes });
  const parameters = new ParameterLayout(network.parameters);
  const shape = { batch, layout, scales: [], rowSums: false, dropPath: false };
  expect(attentionProgram(network, parameters, shape)).toBeUndefined();
});

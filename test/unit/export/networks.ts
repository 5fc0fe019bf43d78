import { last } from '../../../src-main/methods/last.ts';
import { linear } from '../../../src-main/methods/linear.ts';
import { miet } from '../../../src-main/methods/miet.ts';
import type { FrozenNorm, Network, Pool, StepForm, TokenLayout } from '../../../src-main/methods/network.ts';
import { ParameterLayout } from '../../../src-main/training/parameters.ts';
import { randomFloats } from '../engine/random-floats.ts';

export const CLASSES = 5;

export interface NetworkCase {
  name: string;
  pool: Pool;
  build: (layout: TokenLayout, blocks: number, norm: FrozenNorm, form?: StepForm) => Network;
}

/** Every method, in the settings that change what its graph looks like. */
export const networkCases: NetworkCase[] = (['cls', 'mean'] as const).flatMap((pool): NetworkCase[] => [
  {
    name: `linear, ${pool}`,
    pool,
    build: (layout, _blocks, norm) => linear({ layout, norm, classes: CLASSES }),
  },
  ...[1, 2].map((group) => ({
    name: `LAST, group ${group}, depth ${group === 1 ? 2 : 1}, ${pool}`,
    pool,
    build: (layout: TokenLayout, blocks: number, norm: FrozenNorm, form: StepForm = 'plain') =>
      last({ layout, norm, classes: CLASSES, blocks, group, depth: group === 1 ? 2 : 1, rank: 3, pool, form }),
  })),
  {
    name: `MIET, ${pool}`,
    pool,
    build: (layout, _blocks, _norm, form = 'plain') =>
      miet({ layout, classes: CLASSES, upto: 3, depth: 2, rank: 4, pool, form }),
  },
]);

/** Every parameter random, so that none of the network's paths is silent. */
export function randomParameters(network: Network, seed = 11): Float32Array {
  return randomFloats(new ParameterLayout(network.parameters).size, seed).map((x) => 0.4 * x);
}

/** Powers of two, none of them 1. */
export function someScales(network: Network): number[] {
  return network.maps.map((_, index) => [4, 0.5, 2][index % 3]!);
}

/** The largest difference of two rows of numbers. */
export function largestDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) return NaN;
  let largest = 0;
  for (let i = 0; i < a.length; i++) largest = Math.max(largest, Math.abs(a[i]! - b[i]!));
  return largest;
}

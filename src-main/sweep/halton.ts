import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';
import { shuffled } from '../training/random.ts';

/** Digits beyond which a coordinate no longer moves. */
const FINEST = 2 ** -40;

const PRIMES = [2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53] as const;

/** Dimensions that a sequence may have. */
export const MOST_DIMENSIONS = PRIMES.length;

/**
 * The `index`-th place of a randomized Halton sequence in the unit cube: each digit of each coordinate goes through a
 * permutation of its own, drawn from the seed (Owen 2017, A randomized Halton algorithm in R, arXiv 1706.02808).
 * Without that, coordinates in large bases rise together for dozens of places.
 */
export function haltonPlace(index: number, dimensions: number, seed: number): number[] {
  return PRIMES.slice(0, dimensions).map((base, dimension) => {
    let place = 0;
    let rest = index;
    let weight = 1 / base;
    for (let digit = 0; weight > FINEST; digit++) {
      place += permutation(base, seed, dimension, digit)[rest % base]! * weight;
      rest = Math.floor(rest / base);
      weight /= base;
    }
    return place;
  });
}

const permutations = new Map<string, Int32Array>();

/** Kept: a sequence asks for the same few hundred of them at every place. */
function permutation(base: number, seed: number, dimension: number, digit: number): Int32Array {
  const key = `${seed} ${dimension} ${digit}`;
  let order = permutations.get(key);
  if (!order) {
    const mixed =
      Math.imul(seed + 1, 0x9e3779b1) ^ Math.imul(dimension + 1, 0x85ebca6b) ^ Math.imul(digit + 1, 0xc2b2ae35);
    if (permutations.size > 4096) permutations.clear();
    order = shuffled(
      Array.from({ length: base }, (_, value) => value),
      xoroshiro128plus(mixed),
    );
    permutations.set(key, order);
  }
  return order;
}

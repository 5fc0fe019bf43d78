import type { RandomGenerator } from 'pure-rand/types/RandomGenerator';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';

/** A float in [0, 1). */
export function uniform(generator: RandomGenerator): number {
  return (generator.next() >>> 0) / 2 ** 32;
}

/** A standard normal deviate (Box and Muller 1958). */
export function normal(generator: RandomGenerator): number {
  const radius = Math.sqrt(-2 * Math.log(1 - uniform(generator)));
  return radius * Math.cos(2 * Math.PI * uniform(generator));
}

/** A generator for one purpose and epoch of a run, independent of what was drawn before: resuming needs no state. */
export function generatorFor(seed: number, purpose: number, epoch = 0): RandomGenerator {
  // Spread the three small numbers over the seed's bits (multipliers of splitmix and murmur).
  let mixed =
    Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) ^ Math.imul(purpose + 1, 0xc2b2ae35) ^ Math.imul(epoch + 1, 0x27d4eb2f);
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x45d9f3b);
  return xoroshiro128plus(mixed ^ (mixed >>> 16));
}

/** A shuffled copy (Fisher and Yates). */
export function shuffled(items: ArrayLike<number>, generator: RandomGenerator): Int32Array {
  const order = Int32Array.from(items);
  for (let i = order.length - 1; i > 0; i--) {
    const j = Math.floor(uniform(generator) * (i + 1));
    [order[i], order[j]] = [order[j]!, order[i]!];
  }
  return order;
}

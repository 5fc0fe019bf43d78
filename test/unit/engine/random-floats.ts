import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';

/** Repeatable floats in (-1.5, 1.5), or in (0.5, 2) where an op needs them positive. */
export function randomFloats(length: number, seed: number, positive = false): Float32Array {
  const generator = xoroshiro128plus(seed);
  return Float32Array.from({ length }, () => {
    const unit = (generator.next() >>> 0) / 2 ** 32;
    return positive ? 0.5 + 1.5 * unit : 3 * unit - 1.5;
  });
}

import { describe, expect, it } from 'vitest';
import { floatsToHalves, halvesToFloats } from '../../../src-main/engine/half.ts';
import { LARGEST_HALF, largestHalf, raiseScales } from '../../../src-main/features/map-scales.ts';
import type { TappedBatch } from '../../../src-main/features/tapped-batch.ts';

const maps = [
  { kind: 'P' as const, group: 1, index: 1 },
  { kind: 'P' as const, group: 1, index: 2 },
];

function batch(...values: number[][]): TappedBatch {
  const sums = new Float32Array(1);
  const squares = (map: Uint16Array) =>
    Float32Array.of(halvesToFloats(map).reduce((sum, value) => sum + value ** 2, 0));
  const tapped = (map: Uint16Array) => ({ map, rowSums: sums, rowSquareSums: squares(map) });
  return {
    maps: values.map((map) => tapped(floatsToHalves(map))),
    baseCls: sums,
    baseMean: sums,
  };
}

it('finds the largest magnitude of half-precision values', () => {
  expect(largestHalf(floatsToHalves([1, -3, 2]))).toBe(3);
  expect(largestHalf(floatsToHalves([1, -70000]))).toBe(Infinity);
  expect(largestHalf(floatsToHalves([1, NaN]))).toBe(Infinity);
});

describe('scales', () => {
  it('stay where all maps fit', () => {
    expect(raiseScales(batch([1, 2], [8000]), [1, 1], maps)).toBeUndefined();
  });

  it('are raised by powers of two for the maps that do not fit', () => {
    expect(raiseScales(batch([1, 2], [30000]), [1, 1], maps)).toEqual([1, 4]);
    expect(raiseScales(batch([1, 2], [1e6]), [1, 2], maps)).toEqual([1, 32]);
  });

  it('leave room in the first batch, which later ones may use up', () => {
    expect(raiseScales(batch([1], [60000]), [1, 1], maps, LARGEST_HALF)).toBeUndefined();
    expect(raiseScales(batch([60000], [70000]), [1, 2], maps, LARGEST_HALF)).toEqual([1, 32]);
  });

  it('do not help where the base vectors are not finite', () => {
    const spoilt = { ...batch([1], [1]), baseMean: Float32Array.of(0, NaN) };
    expect(() => raiseScales(spoilt, [1, 1], maps)).toThrow("The backbone's output is not finite");
    expect(raiseScales({ ...batch([1], [1]), baseCls: undefined }, [1, 1], maps)).toBeUndefined();
  });

  it('end in a sentence for a map that is never finite', () => {
    expect(() => raiseScales(batch([1], [NaN]), [1, 2 ** 40], maps)).toThrow(
      "The backbone's feature map P1_2 is not finite",
    );
  });
});

import { describe, expect, it } from 'vitest';
import { ADAPTOR_TOLERANCE, compareLogits, MERGED_TOLERANCE } from '../../../src-main/export/parity.ts';

const rows = (...values: number[][]): Float32Array => Float32Array.from(values.flat());

describe('parity of logits', () => {
  it('finds the largest difference and no change', () => {
    const result = compareLogits(rows([1, 2, 3], [9, 8, 7]), rows([1, 2, 3.0625], [9, 8.125, 7]), 3, { absolute: 0.2 });
    expect(result).toEqual({ images: 2, maxAbsLogit: 0.125, top1Changes: [], bound: 0.2, holds: true });
  });

  it('takes the merged bound from the largest in-app logit, whatever its sign', () => {
    const { bound } = compareLogits(rows([-500, 2]), rows([-500, 2]), 2, MERGED_TOLERANCE);
    expect(bound).toBeCloseTo(0.5, 10);
  });

  it.each([
    [0.5, true],
    [0.51, false],
  ])('holds up to the bound: a difference of %d', (difference, holds) => {
    expect(compareLogits(rows([500, 1]), rows([500 - difference, 1]), 2, MERGED_TOLERANCE).holds).toBe(holds);
  });

  it('lists a changed top-1, and lets it pass only where the margin is smaller than the bound', () => {
    const inApp = rows([1, 0, 0], [0, 0.25, 0.5]);
    const exported = rows([1, 0, 0], [0, 0.5, 0.25]);
    const change = { index: 1, from: 2, to: 1, margin: 0.25 };
    const wide = compareLogits(inApp, exported, 3, { absolute: 0.3 });
    expect(wide).toMatchObject({ top1Changes: [change], holds: true });
    // The difference is within the bound, the margin is not.
    expect(compareLogits(inApp, exported, 3, { absolute: 0.25 })).toMatchObject({
      maxAbsLogit: 0.25,
      top1Changes: [change],
      holds: false,
    });
  });

  it('holds for the adaptor up to a ten-thousandth', () => {
    expect(compareLogits(rows([1, 0]), rows([1.00005, 0]), 2, ADAPTOR_TOLERANCE).holds).toBe(true);
    expect(compareLogits(rows([1, 0]), rows([1.0002, 0]), 2, ADAPTOR_TOLERANCE).holds).toBe(false);
  });

  it.each([NaN, Infinity])('does not hold where a logit is %d', (bad) => {
    expect(compareLogits(rows([1, 0]), rows([1, bad]), 2, ADAPTOR_TOLERANCE).holds).toBe(false);
    expect(compareLogits(rows([1, bad]), rows([1, bad]), 2, MERGED_TOLERANCE).holds).toBe(false);
  });

  it('refuses rows that do not match', () => {
    expect(() => compareLogits(rows([1, 2, 3]), rows([1, 2, 3]), 2, ADAPTOR_TOLERANCE)).toThrow(RangeError);
    expect(() => compareLogits(rows([1, 2]), rows([1, 2, 3, 4]), 2, ADAPTOR_TOLERANCE)).toThrow(RangeError);
  });
});

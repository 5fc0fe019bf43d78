import { describe, expect, it } from 'vitest';
import { roundTicks } from '../../../src-renderer/charts/ticks.ts';

describe('ticks', () => {
  it.each([
    [0, 1, [0, 0.5, 1]],
    [0.361, 0.812, [0.4, 0.6, 0.8]],
    [0.44, 0.46, [0.44, 0.445, 0.45, 0.455, 0.46]],
    [0, 4, [0, 1, 2, 3, 4]],
    [120, 960, [500]],
    [0.3, 0.3, []],
    [1, 0, []],
  ])('of %d to %d are round numbers between them', (low, high, expected) => {
    expect(roundTicks(low, high)).toEqual(expected);
  });

  it('are as many as asked for, or a few less', () => {
    for (let low = 0; low < 1; low += 0.037)
      for (let high = low + 0.011; high <= 1; high += 0.053) {
        const { length } = roundTicks(low, high);
        expect(length).toBeGreaterThanOrEqual(1);
        expect(length).toBeLessThanOrEqual(5);
      }
  });
});

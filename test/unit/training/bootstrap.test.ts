import { describe, expect, it } from 'vitest';
import { bootstrapTop1 } from '../../../src-main/training/bootstrap.ts';

describe('the bootstrap interval of a top-1', () => {
  it.each([
    [90, 100],
    [5, 200],
    [971, 1000],
    [9700, 10_000],
  ])('of %d right of %d is that of the binomial distribution', (hits, images) => {
    const { level, low, high } = bootstrapTop1(hits, images);
    const share = hits / images;
    const deviation = Math.sqrt((share * (1 - share)) / images);
    expect(level).toBe(0.95);
    // Two thousand resamples know a quantile of it to a tenth of a deviation or so, counts to a whole image.
    const slack = 0.15 * deviation + 1 / images;
    expect(Math.abs(low - (share - 1.96 * deviation))).toBeLessThan(slack);
    expect(Math.abs(high - (share + 1.96 * deviation))).toBeLessThan(slack);
  });

  it('is the same each time, and has no width where all images are alike', () => {
    expect(bootstrapTop1(7, 10)).toEqual(bootstrapTop1(7, 10));
    expect(bootstrapTop1(12, 12)).toEqual({ level: 0.95, low: 1, high: 1 });
    expect(bootstrapTop1(0, 12)).toEqual({ level: 0.95, low: 0, high: 0 });
  });
});

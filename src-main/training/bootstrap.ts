import { generatorFor, uniform } from './random.ts';

/** Where a figure would likely lie on other images of the same kind; fractions 0 to 1. */
export interface Interval {
  /** Share of intervals made like this one that hold the true value. */
  level: number;
  low: number;
  high: number;
}

const RESAMPLES = 2000;
const LEVEL = 0.95;
const PURPOSE = 3;

/**
 * The percentile bootstrap interval of a top-1 over images (Efron and Tibshirani, An Introduction to the Bootstrap,
 * 1993, chapter 13): the images are drawn anew with replacement, 2,000 times, from a fixed seed. It speaks of other
 * images, not of other training runs; with all images right, or none, it has no width.
 * @param hits images classified correctly
 */
export function bootstrapTop1(hits: number, images: number): Interval {
  const generator = generatorFor(1, PURPOSE);
  const counts = Int32Array.from({ length: RESAMPLES }, () => {
    let drawn = 0;
    // An image is right or wrong and nothing else of it counts, so the first `hits` may be the right ones.
    for (let i = 0; i < images; i++) if (uniform(generator) * images < hits) drawn++;
    return drawn;
  }).sort();
  const tail = (RESAMPLES * (1 - LEVEL)) / 2;
  return {
    level: LEVEL,
    low: counts[Math.round(tail)]! / images,
    high: counts[RESAMPLES - 1 - Math.round(tail)]! / images,
  };
}

/**
 * The tree-structured Parzen estimator in its multivariate form: Bergstra, Bardenet, Bengio, Kegl 2011 (Algorithms for
 * Hyper-Parameter Optimization), joint kernels as in Falkner, Klein, Hutter 2018 (BOHB), constants as in Optuna's
 * TPESampler (5.0: multivariate, constant liar). Trials are split into the few good and the rest; the point that is likely
 * among the first and unlikely among the second is tried next.
 */
import type { RandomGenerator } from 'pure-rand/types/RandomGenerator';
import { normal, uniform } from '../training/random.ts';
import { byValue, type Observation } from './observation.ts';
import { applies, pointAt, unitsOf, type Point, type Space } from './space.ts';

const CANDIDATES = 24;
const MOST_GOOD = 25;
/** Observations that count in full; older ones count less. */
const FRESH = 25;

/** Where a kernel lies in a dimension: around a mean, or on the part of a choice's value. */
interface Place {
  from: number;
  mean: number;
  /** Standard deviation, of the unit interval. */
  sigma: number;
}

/** By dimension; undefined where the observation says nothing: there it is flat. */
type Kernel = readonly (Place | undefined)[];

interface Estimate {
  kernels: readonly Kernel[];
  /** Adding up to 1; the last is that of the prior, which is flat in every dimension. */
  weights: readonly number[];
}

/** Points to try next, the most promising first. @param history earlier trials, running ones included */
export function tpeCandidates(space: Space, history: readonly Observation[], generator: RandomGenerator): Point[] {
  const { good, rest } = split(history);
  const likely = estimate(space, good);
  const unlikely = estimate(space, rest);
  const scored = Array.from({ length: CANDIDATES }, () => {
    const point = draw(space, likely, generator);
    return { point, score: logDensity(space, likely, point) - logDensity(space, unlikely, point) };
  });
  return scored.sort((a, b) => b.score - a.score).map(({ point }) => point);
}

/**
 * The best tenth, and the rest. Pruned trials rank below whole ones, those that came further first. Running ones count
 * as bad (the constant liar), which keeps trials that run together apart; so do failed ones.
 */
function split(history: readonly Observation[]): { good: Observation[]; rest: Observation[] } {
  const done = history.filter(({ state }) => state === 'done').sort(byValue);
  const pruned = history.filter(({ state }) => state === 'pruned').sort((a, b) => b.epochs - a.epochs || byValue(a, b));
  const ranked = [...done, ...pruned];
  const good = ranked.slice(0, Math.min(Math.ceil(0.1 * ranked.length), MOST_GOOD));
  const isGood = new Set(good.map(({ number }) => number));
  const inOrder = (a: Observation, b: Observation) => a.number - b.number;
  return { good: good.sort(inOrder), rest: history.filter(({ number }) => !isGood.has(number)).sort(inOrder) };
}

/** @param observations by number, oldest first */
function estimate(space: Space, observations: readonly Observation[]): Estimate {
  const count = observations.length;
  const places = space.map((dimension) => {
    const units = observations.map(({ point }) => {
      const value = point[dimension.name];
      return value === undefined ? undefined : unitsOf(dimension, value);
    });
    const means = units.map((unit) => unit && (unit[0] + unit[1]) / 2);
    const sigmas = widths(means);
    return units.map(
      (unit, index): Place | undefined => unit && { from: unit[0], mean: means[index]!, sigma: sigmas[index]! },
    );
  });
  const kernels = observations.map((_, index) => places.map((each) => each[index]));
  const old = Math.max(0, count - FRESH);
  const weights = observations.map((_, index) => (index >= old ? 1 : 1 / count + (index / old) * (1 - 1 / count)));
  weights.push(1);
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return { kernels: [...kernels, space.map(() => undefined)], weights: weights.map((weight) => weight / total) };
}

/**
 * Standard deviations of kernels in a dimension: the distance to the farther of the two neighbours, at the ends to the
 * one that there is, but no less than one part in as many as there are kernels, up to a hundred.
 */
function widths(means: readonly (number | undefined)[]): number[] {
  const order = means
    .flatMap((mean, index) => (mean === undefined ? [] : [{ mean, index }]))
    .sort((a, b) => a.mean - b.mean);
  const least = 1 / Math.min(100, means.length + 2);
  const sigmas = means.map(() => 1);
  order.forEach(({ mean, index }, rank) => {
    const below = order[rank - 1];
    const above = order[rank + 1];
    const distances = [below && mean - below.mean, above && above.mean - mean].filter((each) => each !== undefined);
    // Alone, it reaches to the farther end.
    const distance = distances.length > 0 ? Math.max(...distances) : Math.max(mean, 1 - mean);
    sigmas[index] = Math.min(1, Math.max(least, distance));
  });
  return sigmas;
}

function draw(space: Space, { kernels, weights }: Estimate, generator: RandomGenerator): Point {
  const kernel = kernels[pick(weights, generator)]!;
  const place = space.map((dimension, index) => {
    const at = kernel[index];
    if (at === undefined) return uniform(generator);
    if (dimension.kind !== 'choice') return truncatedNormal(at.mean, at.sigma, generator);
    const count = dimension.values.length;
    const shares = dimension.values.map((_, value) =>
      choiceShare(value === Math.round(at.from * count), count, kernels),
    );
    return (pick(shares, generator) + 0.5) / count;
  });
  return pointAt(space, place);
}

function logDensity(space: Space, { kernels, weights }: Estimate, point: Point): number {
  const sought = space.map((dimension) => {
    const value = point[dimension.name];
    return value === undefined || !applies(dimension, point) ? undefined : unitsOf(dimension, value);
  });
  let density = 0;
  kernels.forEach((kernel, index) => {
    let product = weights[index]!;
    space.forEach((dimension, axis) => {
      const [at, to] = [kernel[axis], sought[axis]];
      if (to === undefined) return;
      if (dimension.kind === 'choice') {
        const count = dimension.values.length;
        product *= at === undefined ? 1 / count : choiceShare(at.from === to[0], count, kernels);
      } else if (at !== undefined) product *= kernelDensity(to, at.mean, at.sigma);
    });
    density += product;
  });
  return Math.log(Math.max(density, 1e-300));
}

/** Share that a kernel gives to a value: its own gets one more than all the others, which get little once there are many kernels. */
function choiceShare(isOwn: boolean, count: number, { length: kernels }: readonly Kernel[]): number {
  const little = 1 / kernels;
  return (little + (isOwn ? 1 : 0)) / (1 + count * little);
}

/** Mean density of a normal kernel, cut off at the ends of the unit interval, over a part of it; at a point of no width, there. */
function kernelDensity([low, high]: readonly [number, number], mean: number, sigma: number): number {
  const inside = normalShare((1 - mean) / sigma) - normalShare(-mean / sigma);
  const width = high - low;
  if (width > 0) return (normalShare((high - mean) / sigma) - normalShare((low - mean) / sigma)) / (inside * width);
  const deviations = (low - mean) / sigma;
  return Math.exp(-0.5 * deviations * deviations) / (Math.sqrt(2 * Math.PI) * sigma * inside);
}

/** Share of a standard normal below `x`, to 1.5e-7 (Abramowitz and Stegun 7.1.26). */
function normalShare(x: number): number {
  const z = Math.abs(x) / Math.SQRT2;
  const t = 1 / (1 + 0.3275911 * z);
  const series = ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t;
  const tail = 0.5 * series * Math.exp(-z * z);
  return x < 0 ? tail : 1 - tail;
}

function truncatedNormal(mean: number, sigma: number, generator: RandomGenerator): number {
  // Its mean is inside, so that at least every third draw is, too.
  for (;;) {
    const drawn = mean + sigma * normal(generator);
    if (drawn >= 0 && drawn < 1) return drawn;
  }
}

function pick(shares: readonly number[], generator: RandomGenerator): number {
  let left = uniform(generator);
  for (let index = 0; index < shares.length - 1; index++) {
    left -= shares[index]!;
    if (left < 0) return index;
  }
  return shares.length - 1;
}

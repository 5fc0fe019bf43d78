import { describe, expect, it } from 'vitest';
import { prunerOf, rungs, type Curve } from '../../../src-main/sweep/pruner.ts';

const done = (...values: number[]): Curve => ({ state: 'done', values });
const running = (...values: number[]): Curve => ({ state: 'running', values });

/** Top-1 on val of nine trials, nine epochs each, as a sweep has recorded them. */
const RECORDED = [
  [0.31, 0.42, 0.5, 0.55, 0.6, 0.62, 0.66, 0.66, 0.67],
  [0.2, 0.22, 0.3, 0.31, 0.33, 0.35, 0.35, 0.36, 0.36],
  [0.35, 0.5, 0.61, 0.64, 0.66, 0.7, 0.72, 0.72, 0.73],
  [0.12, 0.1, 0.1, 0.12, 0.1, 0.1, 0.1, 0.1, 0.1],
  [0.33, 0.4, 0.44, 0.52, 0.58, 0.63, 0.68, 0.7, 0.74],
  [0.3, 0.41, 0.49, 0.5, 0.5, 0.51, 0.5, 0.51, 0.51],
  [0.36, 0.52, 0.62, 0.66, 0.68, 0.7, 0.71, 0.73, 0.75],
  [0.1, 0.3, 0.48, 0.6, 0.7, 0.75, 0.78, 0.8, 0.81],
  [0.28, 0.39, 0.47, 0.53, 0.57, 0.61, 0.63, 0.65, 0.66],
];

/** Trials one after the other; how many epochs each is let go. */
function replay(kind: 'asha' | 'median'): number[] {
  const prune = prunerOf(kind, 9);
  const before: Curve[] = [];
  return RECORDED.map((curve) => {
    let epoch = 1;
    while (epoch < 9 && !prune(curve.slice(0, epoch), before)) epoch++;
    before.push({ state: epoch === 9 ? 'done' : 'pruned', values: curve.slice(0, epoch) });
    return epoch;
  });
}

describe('asha', () => {
  it('decides at a ninth and a third of the longest trial', () => {
    expect(rungs(9)).toEqual([1, 3]);
    expect(rungs(30)).toEqual([4, 10]);
    expect(rungs(1)).toEqual([]);
  });

  it('lets the best third of those at a rung go on, and before there are three the best', () => {
    // By hand: at epoch 1 the bests so far are 0.31, 0.31, 0.35, ...; at epoch 3, 0.5, 0.61, 0.62.
    expect(replay('asha')).toEqual([9, 1, 9, 1, 1, 1, 9, 1, 1]);
  });

  it('holds a trial against those that run as well', () => {
    const prune = prunerOf('asha', 9);
    expect(prune([0.3], [running(0.4)])).toBe(true);
    expect(prune([0.3], [running(0.4), running(0.2), running(0.1)])).toBe(true);
    expect(prune([0.3], [running(0.4), running(0.2), running(0.1), running(0.1), running(0.1)])).toBe(false);
    expect(prune([0.3, 0.3], [running(0.4, 0.5)])).toBe(false);
  });
});

describe('median', () => {
  it('ends what is below the median of whole trials, once there are five', () => {
    const prune = prunerOf('median', 9);
    const whole = [0.5, 0.4, 0.3, 0.6].map((value) => done(value, value));
    expect(prune([0.1], whole)).toBe(false);
    whole.push(done(0.2, 0.2));
    expect(prune([0.1], whole)).toBe(true);
    expect(prune([0.4], whole)).toBe(false);
    expect(prune([0.4, 0.1], whole)).toBe(false);
    expect(prune([0.3], [...whole, running(0.9), done(0.1, 0.1)])).toBe(true);
  });

  it('ends trials of recorded curves where they fall behind', () => {
    expect(replay('median')).toEqual([9, 9, 9, 9, 9, 1, 9, 1, 1]);
  });
});

import { describe, expect, it } from 'vitest';
import type { Observation } from '../../../src-main/sweep/observation.ts';
import { gridPoints } from '../../../src-main/sweep/grid.ts';
import { haltonPlace } from '../../../src-main/sweep/halton.ts';
import { samplerOf, SAMPLERS, TakenPoints, type SamplerKind } from '../../../src-main/sweep/sampler.ts';
import { keyOf, unitsOf, valueAt, type Point, type Space } from '../../../src-main/sweep/space.ts';
import { functions } from '../../bench/sweeps/functions.ts';
import { regretOf } from '../../bench/sweeps/search.ts';

const SPACE: Space = [
  { kind: 'choice', name: 'method', values: ['linear', 'last', 'miet'] },
  { kind: 'int', name: 'rank', min: 2, max: 9, scale: 'log', when: { name: 'method', values: ['last', 'miet'] } },
  { kind: 'int', name: 'upto', min: 1, max: 4, scale: 'linear', when: { name: 'method', values: ['miet'] } },
  { kind: 'float', name: 'learningRate', min: 1e-4, max: 1e-1, scale: 'log' },
];
const LISTED: Space = SPACE.slice(0, 3);

/** Better with a higher rank and a learning rate near 0.01; MIET diverges above 0.05. */
function observe(number: number, point: Point): Observation {
  const rate = Math.log10(Number(point.learningRate ?? 0.01));
  const diverged = point.method === 'miet' && rate > Math.log10(0.05);
  const value = diverged ? null : Number(point.rank ?? 0) / 10 - Math.abs(rate + 2);
  return { number, point, state: diverged ? 'failed' : 'done', value, loss: 1, epochs: 1 };
}

function run(kind: SamplerKind, space: Space, trials: number, seed = 3): Point[] {
  const sampler = samplerOf(kind, space, seed);
  const taken = new TakenPoints(space);
  const history: Observation[] = [];
  while (history.length < trials) {
    const point = sampler.propose(history.length, history, (each) => taken.has(each));
    if (!point) break;
    taken.add(point);
    history.push(observe(history.length, point));
  }
  return history.map(({ point }) => point);
}

describe.each(SAMPLERS.filter((kind) => kind !== 'grid'))('%s', (kind) => {
  it('proposes the same for the same seed, and something else for another', () => {
    const points = run(kind, SPACE, 40);
    expect(run(kind, SPACE, 40)).toEqual(points);
    expect(run(kind, SPACE, 40, 4)).not.toEqual(points);
  });

  it('stays within bounds, and leaves out what does not apply', () => {
    for (const { method, rank, upto, learningRate, ...rest } of run(kind, SPACE, 60)) {
      expect(rest).toEqual({});
      expect(learningRate).toBeGreaterThanOrEqual(1e-4);
      expect(learningRate).toBeLessThanOrEqual(1e-1);
      if (method === 'linear') expect(rank).toBeUndefined();
      else expect([2, 3, 4, 5, 6, 7, 8, 9]).toContain(rank);
      if (method === 'miet') expect([1, 2, 3, 4]).toContain(upto);
      else expect(upto).toBeUndefined();
    }
  });

  it('tries no point twice, and ends when none is left', () => {
    const points = run(kind, LISTED, 100);
    expect(new Set(points.map((point) => keyOf(LISTED, point))).size).toBe(points.length);
    expect(points).toHaveLength(gridPoints(LISTED).length);
  });
});

it('goes through a grid once, the last dimension fastest, without what does not apply', () => {
  const points = run('grid', LISTED, 100);
  expect(points).toHaveLength(1 + 8 + 8 * 4);
  expect(points.slice(0, 2)).toEqual([{ method: 'linear' }, { method: 'last', rank: 2 }]);
  expect(points.slice(9, 11)).toEqual([
    { method: 'miet', rank: 2, upto: 1 },
    { method: 'miet', rank: 2, upto: 2 },
  ]);
});

it('covers every part of the unit interval equally in a Halton sequence', () => {
  for (const [axis, base] of [2, 3, 5, 7].entries()) {
    const parts = Array.from({ length: base ** 2 }, (_, index) =>
      Math.floor(haltonPlace(index, 4, 7)[axis]! * base ** 2),
    );
    expect(new Set(parts).size).toBe(base ** 2);
  }
});

it('gives each whole number of a linear range an equal share, and finds it again', () => {
  const range = { kind: 'int', name: 'depth', min: 1, max: 4, scale: 'linear' } as const;
  expect([0, 0.26, 0.51, 0.999].map((unit) => valueAt(range, unit))).toEqual([1, 2, 3, 4]);
  for (const value of [1, 2, 3, 4]) {
    const [from, to] = unitsOf(range, value);
    expect(to - from).toBeCloseTo(0.25, 12);
    expect(valueAt(range, (from + to) / 2)).toBe(value);
  }
});

it('spreads a logarithmic range over its powers', () => {
  const range = { kind: 'float', name: 'learningRate', min: 1e-4, max: 1, scale: 'log' } as const;
  expect(valueAt(range, 0.5)).toBe(0.01);
  expect(unitsOf(range, 0.01)).toEqual([0.5, 0.5]);
});

describe('tpe', () => {
  it('comes nearer to the least value of Branin than random search, over 10 seeds', () => {
    const median = (kind: SamplerKind) => {
      const regrets = Array.from({ length: 10 }, (_, seed) => regretOf(kind, functions.branin, 60, seed));
      return regrets.sort((a, b) => a - b)[5]!;
    };
    expect(median('tpe')).toBeLessThan(median('random') / 3);
  });

  it('keeps away from what runs already', () => {
    const space: Space = [{ kind: 'float', name: 'x', min: 0, max: 1, scale: 'linear' }];
    const history = Array.from({ length: 12 }, (_, number): Observation => {
      const x = number / 12;
      return { number, point: { x }, state: 'done', value: -Math.abs(x - 0.5), loss: 0, epochs: 1 };
    });
    const next = (running: number) => {
      const busy = Array.from({ length: running }, (_, index): Observation => {
        const point = { x: 0.5 + 0.001 * index };
        return { number: 12 + index, point, state: 'running', value: null, loss: null, epochs: 0 };
      });
      return Number(samplerOf('tpe', space, 1).propose(30, [...history, ...busy], () => false)!.x);
    };
    expect(Math.abs(next(0) - 0.5)).toBeLessThan(0.15);
    expect(Math.abs(next(6) - 0.5)).toBeGreaterThan(Math.abs(next(0) - 0.5));
  });
});

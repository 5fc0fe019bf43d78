/** What the window works out of a sweep's trials. */
import { describe, expect, it } from 'vitest';
import { axesOf, isWithin } from '../../../src-renderer/sweeps/axes.ts';
import { trialsAsCsv, trialsAsJson } from '../../../src-renderer/sweeps/trial-table.ts';
import { importances } from '../../../src-renderer/sweeps/importance.ts';
import { paretoFront } from '../../../src-renderer/sweeps/pareto.ts';
import { readEntry, writeEntry } from '../../../src-renderer/sweeps/space-form.ts';
import { ranked, takeLine, type Trial } from '../../../src-renderer/sweeps/trials.ts';

function trial(number: number, point: Trial['point'], value: number | null, state: Trial['state'] = 'done'): Trial {
  const unknown = { bestEpoch: null, parameters: null, headParameters: null, seconds: null, peakRssBytes: null };
  return { number, point, extension: null, state, value, loss: 1, epochs: 1, values: [], reason: null, ...unknown };
}

it('finds what matters: all of the variance for the one setting, none for another', () => {
  const trials = Array.from({ length: 24 }, (_, number) =>
    trial(
      number,
      { rank: number % 2 === 0 ? 4 : 8, seed: number % 3, rate: 0.001 * number },
      number % 2 === 0 ? 0.5 : 0.7,
    ),
  );
  const [first, ...rest] = importances(['rank', 'seed', 'rate'], trials);
  expect(first).toEqual({ name: 'rank', share: 1 });
  for (const { share } of rest) expect(share).toBeLessThan(0.05);
  expect(importances(['rank'], trials.slice(0, 9))).toEqual([]);
});

it('keeps of the front what no other beats', () => {
  const points = [
    { x: 3, y: 0.9 },
    { x: 1, y: 0.5 },
    { x: 2, y: 0.4 },
    { x: 1, y: 0.6 },
    { x: 4, y: 0.9 },
  ];
  expect(paretoFront(points)).toEqual([
    { x: 1, y: 0.6 },
    { x: 3, y: 0.9 },
  ]);
});

it('places trials on axes, and tells which lie in a part of one', () => {
  const space = [
    { kind: 'choice', name: 'pool', values: ['cls', 'mean'] },
    { kind: 'float', name: 'learningRate', min: 1e-4, max: 1e-2, scale: 'log' },
  ] as const;
  const trials = [trial(0, { pool: 'cls', learningRate: 1e-3 }, 0.5), trial(1, { pool: 'mean' }, 0.7)];
  const axes = axesOf([...space], trials);
  const rounded = (at: number | null) => at && Number(at.toFixed(9));
  expect(axes.map((axis) => trials.map((each) => rounded(axis.at(each))))).toEqual([
    [0, 1],
    [0.5, null],
    [0, 1],
  ]);
  expect(trials.map((each) => isWithin(each, axes, new Map([['learningRate', [0.4, 0.6] as const]])))).toEqual([
    true,
    false,
  ]);
});

describe('what is typed as a space', () => {
  it.each([
    ['4, 8,16', [4, 8, 16]],
    ['cls, mean', ['cls', 'mean']],
    ['0.0003..0.03', { min: 0.0003, max: 0.03, scale: 'log' }],
    ['1 .. 4', { min: 1, max: 4, scale: 'linear' }],
    ['4..1', undefined],
    [' ', undefined],
  ])('%j', (typed, entry) => expect(readEntry(typed)).toEqual(entry));

  it('is written as it is read', () => {
    for (const typed of ['4, 8', '0.1..2']) expect(writeEntry(readEntry(typed)!)).toBe(typed);
  });
});

it('follows the lines of a log, each taken once', () => {
  const trials = new Map<number, Trial>();
  const epoch = { event: 'epoch', trial: 0, epoch: 1, loss: 2, top1: 0.4, valLoss: 1 } as const;
  expect(takeLine(trials, epoch)).toBe(false);
  takeLine(trials, { event: 'trial', trial: 0, point: { rank: 4 } });
  takeLine(trials, epoch);
  takeLine(trials, epoch);
  takeLine(trials, { ...epoch, epoch: 2, top1: 0.3 });
  expect(trials.get(0)).toMatchObject({ epochs: 2, values: [0.4, 0.3], value: 0.4, bestEpoch: 1, state: 'running' });
  takeLine(trials, { event: 'end', trial: 0, state: 'pruned', reason: 'stopped by hand', result: null });
  expect(trials.get(0)).toMatchObject({ state: 'pruned', reason: 'stopped by hand' });
  const order = ranked([trials.get(0)!, trial(1, { rank: 8 }, 0.2), trial(2, { rank: 8 }, 0.3)]);
  expect(order.map(({ number }) => number)).toEqual([2, 1, 0]);
  expect(trialsAsCsv(['rank'], order).split('\n')[3]).toBe('0,pruned,4,0.4,1,1,2,,,,,stopped by hand,');
  const records = JSON.parse(trialsAsJson(['rank', 'upto'], order)) as unknown[];
  expect(records[2]).toMatchObject({ trial: 0, rank: 4, upto: null, val_top1: 0.4, reason: 'stopped by hand' });
});

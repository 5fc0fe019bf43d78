import { describe, expect, it } from 'vitest';
import { measureSides, ratio, runSide, spread, summarize, type Side } from '../../bench/measure.ts';
import { peakRssBytes } from '../../../src-main/base/peak-memory.ts';
import { timeSteps } from '../../bench/side.ts';
import { benches } from '../../bench/benches.ts';
import { rowsTable, sidesTable } from '../../bench/table.ts';

/** A side that says what it is given. */
const saying = (line: unknown, more = ''): Side => ({
  command: process.execPath,
  args: ['-e', `console.log('noise'); console.log(${JSON.stringify(JSON.stringify(line))}); ${more}`],
});

describe('bench figures', () => {
  it('spread takes the middle, or the mean of the two middles', () => {
    expect(spread([3, 1, 10])).toEqual({ median: 3, min: 1, max: 10 });
    expect(spread([4, 1, 2, 10])).toEqual({ median: 3, min: 1, max: 10 });
    expect(() => spread([])).toThrow('no values');
  });

  it('pools the steps of all processes, and divides core time by images', () => {
    const summary = summarize([
      { ms: [1, 2], coreMs: [4, 8], peakRssBytes: 100, images: 4 },
      { ms: [9], coreMs: [12], peakRssBytes: 300, images: 4 },
    ]);
    expect(summary).toEqual({
      processes: 2,
      ms: { median: 2, min: 1, max: 9 },
      coreMsPerImage: { median: 2, min: 1, max: 3 },
      peakRssBytes: { median: 200, min: 100, max: 300 },
    });
  });

  it('a ratio above 1 says that the second side is better', () => {
    const slow = summarize([{ ms: [10, 20, 30], peakRssBytes: 200 }]);
    const fast = summarize([{ ms: [4, 5, 100], peakRssBytes: 100 }]);
    expect(ratio(slow, fast)).toEqual({ time: 4, memory: 2, fastest: 2.5 });
  });
});

describe('numbers to reach', () => {
  const row = benches['last-step']!(2).rows;
  const step = (coreMs: number) =>
    summarize([{ ms: [1], coreMs: [32 * coreMs], peakRssBytes: 1, images: 32, figures: { worstTensor: 3e-4 } }]);
  const outcome = (coreMs: number, limit: string | { median: number; min: number; max: number }) => ({
    sides: { vit_tiny_plain_batch32: step(coreMs), engines: step(1) },
    ratio: {},
    limit,
  });

  it('are reached or not, and not judged where the yardstick is missing', () => {
    const limit = { median: 2, min: 2, max: 2 };
    expect(row!(outcome(4.9, limit))[0]).toMatchObject({
      measured: expect.stringMatching(/^2\.5 x/) as string,
      reached: true,
    });
    expect(row!(outcome(5.2, limit))[0]).toMatchObject({ reached: false });
    expect(row!(outcome(5.2, 'gcc is not installed'))[0]).toMatchObject({
      measured: 'gcc is not installed',
      reached: null,
    });
  });

  it('take the largest of a figure, and become a Markdown table', () => {
    const rows = benches.engines!(1).rows!(outcome(1, ''));
    expect(rows[0]).toMatchObject({ measured: '3.0e-4', reached: false });
    expect(rowsTable(rows).split('\n')).toEqual([
      '| what | asked | measured | reached |',
      '| - | - | - | - |',
      expect.stringMatching(/^\| compiled .* \| 1e-4 or less \| 3\.0e-4 \| \*\*no\*\* \|$/) as string,
    ]);
  });
});

describe('bench processes', () => {
  it('interleaves the sides, and turns the order round every other time', async () => {
    const order: string[] = [];
    const report = { ms: [1], peakRssBytes: 1 };
    const sides = { a: saying(report), b: saying(report), once: { ...saying(report), repeats: 1 } };
    const summaries = await measureSides(sides, 3, (line) =>
      order.push(...(/ {2}(\w+) {2}/.exec(line)?.slice(1) ?? [])),
    );
    expect(order).toEqual(['a', 'b', 'once', 'b', 'a', 'a', 'b']);
    expect(summaries.a?.processes).toBe(3);
    expect(summaries.once?.processes).toBe(1);
    expect(sidesTable(summaries).split('\n')).toHaveLength(4);
  });

  it('says what a failing side said', async () => {
    const failing: Side = {
      command: process.execPath,
      args: ['-e', `console.error('no such shape'); process.exit(3)`],
    };
    await expect(runSide('odd', failing)).rejects.toThrow(/The side 'odd' ended with status 3.*\n?.*no such shape/);
    await expect(runSide('mute', saying({ ms: [] }))).rejects.toThrow("The side 'mute' printed no report");
  });

  it('times steps without the warm-ups, and finds the peak after memory is given back', async () => {
    let calls = 0;
    const before = peakRssBytes();
    const times = await timeSteps(() => (calls += Buffer.alloc(120 * 2 ** 20, 1).length > 0 ? 1 : 0), {
      warmUps: 2,
      steps: 3,
    });
    expect(calls).toBe(5);
    expect(times.ms).toHaveLength(3);
    expect(times.coreMs.every((ms) => ms > 0)).toBe(true);
    expect(peakRssBytes()).toBeGreaterThan(Math.max(before, 120 * 2 ** 20));
  });
});

import { describe, expect, it } from 'vitest';
import { describeVtab } from '../../../src-main/cli/vtab-words.ts';
import { readSpace } from '../../../src-main/sweep/read-space.ts';
import { gridPoints } from '../../../src-main/sweep/grid.ts';
import { METHODS } from '../../../src-main/training/settings.ts';
import { declaredGrid, readGrids } from '../../../src-main/studio/vtab/grids.ts';
import { meansOf } from '../../../src-main/studio/vtab/means.ts';
import { PUBLISHED } from '../../../src-main/studio/vtab/published.ts';
import type { TaskResult } from '../../../src-main/studio/vtab/records.ts';
import { GROUPS, inPaperOrder, VTAB_TASKS, vtabTaskOf } from '../../../src-main/studio/vtab/tasks.ts';

/** Results of LAST on tasks with these scores, in percent. */
function resultsOf(scores: Readonly<Record<string, number>>, method: TaskResult['method'] = 'last'): TaskResult[] {
  return Object.entries(scores).map(([task, score]) => ({
    task,
    method,
    top1: score / 100,
    val: 0.5,
    settings: { pool: 'cls' },
    chosen: { pool: 'cls' },
    seconds: 10,
    parameters: 1000,
    headParameters: 50,
    peakRssBytes: 2e8,
    trials: 8,
    classes: 10,
    testImages: 100,
    sweep: `${task}-sweep`,
    run: `${task}-run`,
  }));
}

describe('means', () => {
  it("come to the papers' own from the papers' own tasks, in both conventions", () => {
    const row = PUBLISHED.find(({ tasks }) => tasks !== undefined)!;
    const { last } = meansOf(resultsOf(row.tasks!), ['last']);
    for (const group of GROUPS) expect(100 * last![group]!).toBeCloseTo(row[group]!, 1);
    expect(100 * last!.groupMean!).toBeCloseTo(row.groupMean, 0);
    expect(100 * last!.taskMean!).toBeCloseTo(row.taskMean!, 1);
    expect(last!.tasks).toBe(19);
  });

  it('leave groups open while a task is missing, and count a set that is none of the 19 for neither', () => {
    const all = Object.fromEntries(VTAB_TASKS.map(({ folder }) => [folder, 50]));
    const { dtd: _, ...without } = all;
    const { last: open } = meansOf(resultsOf({ ...without, signs10: 90 }), ['last']);
    expect(open).toMatchObject({ natural: null, specialized: null, structured: null, groupMean: null, tasks: 19 });
    expect(open!.taskMean).toBeCloseTo((18 * 0.5 + 0.9) / 19);
    expect(meansOf(resultsOf({ ...all, signs10: 90 }), ['last']).last).toMatchObject({ groupMean: 0.5, tasks: 19 });
  });

  it('are over tasks that all methods have done', () => {
    const results = [...resultsOf({ dtd: 80, svhn: 20 }, 'last'), ...resultsOf({ dtd: 70 }, 'linear')];
    const means = meansOf(results, ['linear', 'last']);
    expect(means.last).toMatchObject({ taskMean: 0.8, tasks: 1 });
    expect(means.linear).toMatchObject({ taskMean: 0.7, tasks: 1 });
  });
});

it('knows tasks under the names that their folders go by, and orders them as papers do', () => {
  expect(vtabTaskOf('CIFAR_100')?.heading).toBe('Cifar100');
  expect(vtabTaskOf('flowers102')?.folder).toBe('oxford_flowers102');
  expect(vtabTaskOf('signs10')).toBeUndefined();
  expect(inPaperOrder(['signs10', 'svhn', 'caltech101', 'kitti'])).toEqual(['caltech101', 'svhn', 'kitti', 'signs10']);
});

describe('grids', () => {
  const count = (method: TaskResult['method'], prefix: number) =>
    gridPoints(readSpace(declaredGrid(method, { blocks: 12, prefix }), { method }).space).length;

  it('have equally many points for each method', () => {
    expect(METHODS.map((method) => count(method, 1))).toEqual([8, 8, 8]);
    expect(METHODS.map((method) => count(method, 0))).toEqual([4, 4, 4]);
    expect(declaredGrid('miet', { blocks: 12, prefix: 1 }).upto).toEqual([8, 12]);
  });

  it('of a file are refused with the method named', () => {
    expect(readGrids({ last: { lr: [1e-3] } })).toEqual({ last: { lr: [1e-3] } });
    expect(() => readGrids({ lasst: { lr: [1e-3] } })).toThrow(/because of "lasst"/);
    expect(() => readGrids({ last: 3 })).toThrow(/because of "last"/);
  });
});

describe('the table', () => {
  const results = resultsOf({ caltech101: 91.23, signs10: 96 });
  const text = describeVtab({ methods: ['last'], results, means: meansOf(results, ['last']), failed: [] });
  const lines = text.split('\n');

  it('has our figures and the published ones in lines of their own, each saying where it is from', () => {
    expect(lines).toContainEqual(expect.stringMatching(/^last +here +91\.2$/));
    expect(lines).toContainEqual(expect.stringMatching(/^LAST +published \(b\) +93\.4$/));
    expect(text).toMatch(/^\(b\) V-PETL Bench, stated/m);
  });

  it('puts no mean of ours where published means stand until the 19 are done', () => {
    expect(lines).toContainEqual(expect.stringMatching(/MEAN OF 2 +NATURAL.*MEAN OF GROUPS +MEAN OF 19/));
    expect(lines).toContainEqual(expect.stringMatching(/^last +here +93\.6 +- +- +- +- +- /));
    expect(lines).toContainEqual(
      expect.stringMatching(/^LAST +published \(b\) +- +80\.9 +86\.2 +62\.3 +76\.4 +74\.\d /),
    );
  });

  it("says where a set of a task's name is not the benchmark's", () => {
    expect(text).toContain("caltech101 is not VTAB-1K's: 100 test images in 10 classes here, 6,084 in 102 there.");
    expect(text).not.toContain('signs10 is not');
  });
});

import { describe, expect, it } from 'vitest';
import { findClassProblems, findDuplicates } from '../../../src-main/data/checks.ts';
import { mapConcurrently } from '../../../src-main/data/concurrent.ts';
import { stratifiedSplit } from '../../../src-main/data/split.ts';

const images = (counts: number[]) =>
  counts.flatMap((count, label) =>
    Array.from({ length: count }, (_, index) => ({ label, sha256: `${label}-${index}` })),
  );

function countVal(dealt: string[], labels: { label: number }[], label: number): number {
  return dealt.filter((split, index) => split === 'val' && labels[index]!.label === label).length;
}

describe('stratifiedSplit', () => {
  it('deals a fifth of each class to val, and never all of one', () => {
    const all = images([100, 10, 5, 2, 1]);
    const dealt = stratifiedSplit(all, 0.2, 1);
    expect([0, 1, 2, 3, 4].map((label) => countVal(dealt, all, label))).toEqual([20, 2, 1, 1, 0]);
  });

  it('depends on the seed and on nothing else', () => {
    const all = images([50, 50]);
    expect(stratifiedSplit(all, 0.2, 7)).toEqual(stratifiedSplit(all, 0.2, 7));
    expect(stratifiedSplit(all, 0.2, 7)).not.toEqual(stratifiedSplit(all, 0.2, 8));
  });

  it('keeps equal contents together', () => {
    const all = Array.from({ length: 60 }, (_, index) => ({ label: 0, sha256: String(index % 20) }));
    const dealt = stratifiedSplit(all, 0.2, 3);
    all.forEach(({ sha256 }, index) => expect(dealt[index]).toBe(dealt[Number(sha256)]));
    expect(countVal(dealt, all, 0)).toBe(12);
  });

  it('keeps equal contents of several classes together', () => {
    // Every fifth content is in both classes.
    const all = images([40, 40]).map((each, index) => (index % 5 ? each : { ...each, sha256: String(index % 40) }));
    for (let seed = 1; seed < 10; seed++) {
      const dealt = stratifiedSplit(all, 0.2, seed);
      all.forEach(({ sha256 }, index) =>
        expect(dealt[index]).toBe(dealt[all.findIndex((each) => each.sha256 === sha256)]),
      );
      for (const label of [0, 1]) expect(countVal(dealt, all, label)).toBe(8);
    }
  });

  it('deals what it always dealt where all contents differ', () => {
    const dealt = stratifiedSplit(images([6, 5]), 0.3, 4);
    expect(dealt.map((split) => split[0]).join('')).toBe('tvvttttvttv');
  });
});

const image = (path: string, sha256: string, split: 'train' | 'val' | 'test', label = 0) => ({
  path,
  label,
  split,
  bytes: 1,
  mtimeMs: 1,
  sha256,
});

describe('findDuplicates', () => {
  it('reports equal contents across splits, across classes or inside a class, each content with all its images', () => {
    const found = findDuplicates('/data', [
      image('a.png', 'same', 'train'),
      image('b.png', 'same', 'train'),
      image('c.png', 'same', 'test'),
      image('d.png', 'same', 'test'),
      image('e.png', 'other', 'train', 0),
      image('f.png', 'other', 'train', 1),
      image('g.png', 'alone', 'val'),
      image('h.png', 'twice', 'val'),
      image('i.png', 'twice', 'val'),
      image('j.png', 'both', 'train', 0),
      image('k.png', 'both', 'test', 1),
    ]);
    expect(found.map(({ kind, path, images }) => `${kind} ${path} ${images?.join(' ')}`)).toEqual([
      'leak /data/c.png 0 1 2 3',
      'conflict /data/f.png 4 5',
      'duplicate /data/i.png 7 8',
      'leak /data/k.png 9 10',
      'conflict /data/k.png 9 10',
    ]);
    expect(found[0]?.message).toBe(
      '"/data/c.png" is the same picture as "/data/a.png" and 2 more, which is in train and not in test.',
    );
  });
});

describe('findClassProblems', () => {
  it('names classes that can hardly be learnt', () => {
    const usable = [image('a', '1', 'train', 0), image('b', '2', 'train', 0), image('c', '3', 'train', 1)].concat(
      [4, 5].map((index) => image(`t${index}`, String(index), 'test', 2)),
    );
    const problems = findClassProblems('/data', ['many', 'one', 'unseen', 'unlisted'], usable, usable);
    expect(problems.map(({ kind }) => kind)).toEqual(['single-image', 'untrained-class']);
    expect(problems[0]?.message).toContain('"one"');
  });

  it('refuses to lose a class', () => {
    const found = [image('a', '1', 'train', 0), image('b', '2', 'train', 1), image('c', '2', 'train', 1)];
    expect(() => findClassProblems('/data', ['a', 'b'], found, found.slice(0, 1))).toThrow(
      /none of the 2 images of the class "b" can be read/,
    );
    expect(() => findClassProblems('/data', ['a', 'b'], found, [])).toThrow(/no image that can be read/);
  });
});

describe('mapConcurrently', () => {
  it('keeps the order and the limit', async () => {
    let underWay = 0;
    let most = 0;
    const results = await mapConcurrently([5, 1, 4, 2, 3], 2, async (milliseconds, index) => {
      most = Math.max(most, ++underWay);
      await new Promise((resolve) => setTimeout(resolve, milliseconds));
      underWay--;
      return index * 10;
    });
    expect(results).toEqual([0, 10, 20, 30, 40]);
    expect(most).toBe(2);
  });

  it('stops at the first error and when aborted', async () => {
    const seen: number[] = [];
    const failing = mapConcurrently([0, 1, 2, 3, 4, 5], 2, async (item) => {
      seen.push(item);
      await Promise.resolve();
      if (item === 1) throw new Error('one');
    });
    await expect(failing).rejects.toThrow('one');
    expect(seen.length).toBeLessThan(6);
    const aborted = mapConcurrently([1], 1, async () => 1, AbortSignal.abort());
    await expect(aborted).rejects.toMatchObject({ name: 'AbortError' });
  });
});

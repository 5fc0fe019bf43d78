import { expect, it } from 'vitest';
import type { Dataset, SplitName } from '../../../src-main/data/dataset.ts';
import { splitImages } from '../../../src-main/training/split-images.ts';

function dataset(counts: Partial<Record<SplitName, number>>): Dataset {
  const images = Object.entries(counts).flatMap(([split, count]) =>
    Array.from({ length: count }, (_, index) => ({
      ...{ path: `${split}/${index}.png`, label: index % 2, split: split as SplitName },
      ...{ bytes: 1, mtimeMs: 1, sha256: `${split}${index}` },
    })),
  );
  return { name: 'd', source: '/d', format: 'folder', classes: ['a', 'b'], images, problems: [] };
}

it('takes all images of each split, or of train as many as the limit, stratified', () => {
  const whole = dataset({ train: 10, val: 4, test: 3 });
  const all = splitImages(whole, { limit: null, seed: 1 });
  expect([all.train.length, all.val.length, all.test.length]).toEqual([10, 4, 3]);
  const some = splitImages(whole, { limit: 4, seed: 1 });
  expect(some.train.map(({ label }) => label).sort()).toEqual([0, 0, 1, 1]);
  expect(some.val).toEqual(all.val);
  expect(splitImages(whole, { limit: 4, seed: 2 }).train).not.toEqual(some.train);
});

it('adds val, all of it, to as many of train as the limit, where both are learned from', () => {
  const whole = dataset({ train: 10, val: 4 });
  const alone = splitImages(whole, { limit: 4, seed: 1 });
  const both = splitImages(whole, { limit: 4, seed: 1 }, { trainOn: 'train+val' });
  expect(both.train).toEqual([...alone.train, ...alone.val]);
  expect(both.val).toEqual([]);
});

it('leaves the test split unread where asked to', () => {
  expect(splitImages(dataset({ train: 2, test: 3 }), { limit: null, seed: 1 }, { noTest: true }).test).toEqual([]);
});

it('refuses a dataset with nothing to train on', () => {
  expect(() => splitImages(dataset({ test: 3 }), { limit: null, seed: 1 })).toThrow(
    expect.objectContaining({ code: 'dataset', message: 'Dataset d has no training images.' }),
  );
});

it('refuses a limit that leaves classes out', () => {
  const whole = dataset({ train: 10, val: 4 });
  expect(() => splitImages(whole, { limit: 1, seed: 1 })).toThrow(
    'A limit of 1 leaves some of the 2 classes of dataset d without an image to train on: allow at least 2.',
  );
});

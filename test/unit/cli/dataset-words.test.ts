import { expect, it } from 'vitest';
import { describeDataset, describeShown, overviewOfDatasets } from '../../../src-main/cli/dataset-words.ts';
import type { DatasetSummary } from '../../../src-main/studio/contract.ts';

const large: DatasetSummary = {
  name: 'large',
  classes: Array.from({ length: 1000 }, (_, index) => `class ${index}`),
  splits: { train: 1_281_167, val: 50_000 },
  problems: Array.from({ length: 1000 }, (_, index) => ({
    kind: 'single-image',
    path: '/p',
    message: `Alone: ${index}.`,
  })),
};

it('cuts a thousand classes and problems short, with how many there are', () => {
  const lines = describeDataset(large).split('\n');
  expect(lines).toHaveLength(8);
  expect(lines[0]).toBe('large: 1,000 classes; images: train 1,281,167, val 50,000');
  expect(lines[1]).toMatch(/^Classes: class 0, .*, class 19, and 980 more \(all of them with --json\)$/);
  expect(lines.at(-1)).toContain('and 997 more: "sidetune datasets show large --problems"');
  expect(Math.max(...lines.map((line) => line.length))).toBeLessThan(300);
  expect(overviewOfDatasets([large])).toMatch(/^NAME +CLASSES .*\nlarge +1,000 +1,281,167 +50,000 +- +1,000$/);
});

it('says of a damaged dataset that it is, and what to do', () => {
  const message = '"/w/broken/dataset.json" is damaged: remove it.';
  const damaged = {
    name: 'broken',
    classes: [],
    splits: {},
    problems: [{ kind: 'damaged-file', path: '/w', message }],
  };
  const lines = overviewOfDatasets([damaged, { ...large, problems: [] }]).split('\n');
  expect(lines[1]).toMatch(/^broken +- +- +- +- +damaged$/);
  expect(lines[2]).toMatch(/^large +1,000 .* 0$/);
  expect(lines[3]).toBe(`broken: ${message}`);
});

it('lists all problems when they are asked for', () => {
  expect(describeDataset(large, true).split('\n')).toHaveLength(4 + 1000);
});

it('says what a copy was made of and where it lies', () => {
  const shown = { ...large, problems: [], source: '/pictures', format: 'folder' as const };
  expect(describeShown(shown)).toMatch(/\nSource: \/pictures \(folder\)$/);
  expect(describeShown({ ...shown, copy: '/w/files/0a' })).toMatch(
    /\nSource: \/pictures \(folder\)\nCopied to: \/w\/files\/0a \(the source is needed no more\)$/,
  );
});

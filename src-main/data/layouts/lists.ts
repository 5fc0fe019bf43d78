import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { exists } from '../../base/exists.ts';
import { Failure } from '../../base/failure.ts';
import { errorCode } from '../../workspace/atomic.ts';
import type { SplitName } from '../dataset.ts';
import { checkClassNames } from './classes.ts';
import type { FoundImage, Layout, Scan } from './layout.ts';

/*
 * The lists of VTAB-1K: train800.txt, val200.txt, train800val200.txt (the two together) and test.txt, each line an
 * image's path, a space and its label as a number from 0; the path may hold spaces. classes.txt, a name a line.
 */

export const listsLayout: Layout = {
  format: 'lists',
  async recognises(root) {
    return (await exists(join(root, 'train800.txt'))) || (await exists(join(root, 'train800val200.txt')));
  },
  scan: scanLists,
};

async function scanLists(root: string): Promise<Scan> {
  const [train, val, both, test, names] = await Promise.all(
    ['train800.txt', 'val200.txt', 'train800val200.txt', 'test.txt', 'classes.txt'].map((file) =>
      readLines(root, file),
    ),
  );
  const images: FoundImage[] = [];
  const add = (file: string, lines: string[] | undefined, split: SplitName | undefined) =>
    lines?.forEach((line, index) => {
      if (line !== '') images.push({ ...parseLine(line, `line ${index + 1} of "${join(root, file)}"`, names), split });
    });
  if (train && val) {
    add('train800.txt', train, 'train');
    add('val200.txt', val, 'val');
  } else if (both) add('train800val200.txt', both, undefined);
  else if (train) add('train800.txt', train, undefined);
  else throw new Failure('dataset', `"${root}" has no train800.txt: VTAB-1K lists were expected there.`);
  add('test.txt', test, 'test');

  const classes = names ?? Array.from({ length: 1 + maxLabel(images) }, (_, label) => String(label));
  checkClassNames(classes, root);
  const used = new Set(images.map((image) => image.label));
  const problems = classes.flatMap((name, label) => {
    if (used.has(label)) return [];
    const message = `No list in "${root}" names an image of the class ${JSON.stringify(name)}.`;
    return [{ kind: 'empty-class', path: root, message }];
  });
  return { classes, images, problems };
}

function maxLabel(images: readonly FoundImage[]): number {
  return images.reduce((largest, image) => Math.max(largest, image.label), -1);
}

/** No real set has more classes; a larger number is a slip, and names for all labels below it would fill the memory. */
const mostClasses = 100_000;

function parseLine(line: string, where: string, names: string[] | undefined): { path: string; label: number } {
  const space = line.lastIndexOf(' ');
  const path = line.slice(0, space).trim();
  const text = line.slice(space + 1);
  if (space < 0 || path === '' || !/^\d+$/.test(text))
    throw new Failure('dataset', `An image's path, a space and a label from 0 up were expected in ${where}.`);
  const label = Number(text);
  const classes = names?.length ?? mostClasses;
  if (label >= classes)
    throw new Failure(
      'dataset',
      `The label ${text} in ${where} is out of range: ${names ? `classes.txt names ${classes} classes` : `at most ${classes} classes are supported`}, numbered from 0.`,
    );
  return { path, label };
}

/** The lines of a file, without trailing empty ones; undefined where there is no such file. */
async function readLines(root: string, file: string): Promise<string[] | undefined> {
  try {
    const text = await readFile(join(root, file), 'utf8');
    const lines = text
      .replace(/^\ufeff/, '')
      .split('\n')
      .map((line) => line.trimEnd());
    while (lines.at(-1) === '') lines.pop();
    return lines;
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw new Failure('dataset', `"${join(root, file)}" cannot be read: check its permissions.`, { cause: error });
  }
}

import { join } from 'node:path';
import { exists } from '../../base/exists.ts';
import { Failure } from '../../base/failure.ts';
import type { SplitName } from '../dataset.ts';
import { checkClassNames, checkLabel, findUnusedClasses, numberedClasses, readClassNames } from './classes.ts';
import type { FoundImage, Layout, Place, Scan } from './layout.ts';
import { readLines } from './lines.ts';

/*
 * The lists of VTAB-1K: train800.txt, val200.txt, train800val200.txt (the two together) and test.txt, each line an
 * image's path, a space and its label as a number from 0; the path may hold spaces. classes.txt, a name a line.
 */

export const listsLayout: Layout = {
  format: 'lists',
  async recognises({ root, file }) {
    if (file !== undefined) return false;
    return (await exists(join(root, 'train800.txt'))) || (await exists(join(root, 'train800val200.txt')));
  },
  scan: scanLists,
};

async function scanLists({ root }: Place): Promise<Scan> {
  const [train, val, both, test] = await Promise.all(
    ['train800.txt', 'val200.txt', 'train800val200.txt', 'test.txt'].map((file) => readLines(join(root, file))),
  );
  const names = await readClassNames(root);
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

  const classes = names ?? numberedClasses(images);
  checkClassNames(classes, root);
  return { classes, images, problems: findUnusedClasses(classes, images, root) };
}

function parseLine(line: string, where: string, names: string[] | undefined): { path: string; label: number } {
  const space = line.lastIndexOf(' ');
  const path = line.slice(0, space).trim();
  const text = line.slice(space + 1);
  if (space < 0 || path === '' || !/^\d+$/.test(text))
    throw new Failure('dataset', `An image's path, a space and a label from 0 up were expected in ${where}.`);
  return { path, label: checkLabel(Number(text), names, where, 'classes.txt') };
}

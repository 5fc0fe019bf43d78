import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Failure } from '../../base/failure.ts';
import type { SplitName } from '../dataset.ts';
import { IdxFile } from '../packed/idx-file.ts';
import { checkClassNames, checkLabel, findUnusedClasses, numberedClasses, readClassNames } from './classes.ts';
import { openTrainWithoutVal, type FoundImage, type Layout, type Place, type Scan } from './layout.ts';

/*
 * IDX files as MNIST, Fashion-MNIST and EMNIST come: train-images-idx3-ubyte with train-labels-idx1-ubyte, t10k-* for
 * test, gzipped or not. classes.txt beside them, a name a line, else classes are called by their numbers.
 */

const imagesName = /^(.*)images([-.])idx3([-.])ubyte(\.gz)?$/i;

export const idxLayout: Layout = {
  format: 'idx',
  async recognises({ root, file }) {
    return file !== undefined ? imagesName.test(file) : (await imageFiles(root)).length > 0;
  },
  scan: scanIdx,
};

async function scanIdx({ root, file }: Place): Promise<Scan> {
  const files = file !== undefined ? [file] : await imageFiles(root);
  if (files.length === 0)
    throw new Failure('dataset', `"${root}" holds no IDX files: "train-images-idx3-ubyte" was expected there.`);
  const names = await readClassNames(root);
  const there = await readdir(root);
  const images: FoundImage[] = [];
  for (const name of files) {
    const path = join(root, name);
    const labels = await readLabels(root, name, there, names);
    const { shape } = await IdxFile.open(path);
    if (shape.length !== 3) throw new Failure('dataset', `"${path}" holds no grey pictures but labels.`);
    if (shape[0] !== labels.length)
      throw new Failure('dataset', `"${path}" holds ${shape[0]!} pictures, but their file of labels ${labels.length}.`);
    const split = file === undefined ? splitOfName(name) : undefined;
    for (const [entry, label] of labels.entries()) images.push({ path: name, entry, label, split });
  }
  const classes = names ?? numberedClasses(images);
  checkClassNames(classes, root);
  return { classes, images: openTrainWithoutVal(images), problems: findUnusedClasses(classes, images, root) };
}

/** Names of the files of pictures; a plain one rather than its gzipped copy. */
async function imageFiles(root: string): Promise<string[]> {
  const names = (await readdir(root)).filter((name) => imagesName.test(name));
  return names.filter((name) => !name.endsWith('.gz') || !names.includes(name.slice(0, -3))).sort();
}

async function readLabels(
  root: string,
  imagesFile: string,
  there: readonly string[],
  names: readonly string[] | undefined,
): Promise<Uint8Array> {
  const wanted = imagesFile.replace(imagesName, '$1labels$2idx1$3ubyte');
  const found = [wanted, `${wanted}.gz`].find((name) => there.includes(name));
  if (found === undefined)
    throw new Failure('dataset', `"${join(root, imagesFile)}" lacks its labels: "${wanted}" was expected beside it.`);
  const path = join(root, found);
  const file = await IdxFile.open(path);
  if (file.shape.length !== 1) throw new Failure('dataset', `"${path}" holds pictures where labels were expected.`);
  const labels = await file.items(0, file.shape[0]!);
  for (const [row, label] of labels.entries()) checkLabel(label, names, `row ${row} of "${path}"`, 'classes.txt');
  return labels;
}

function splitOfName(name: string): SplitName | undefined {
  const prefix = imagesName.exec(name)![1]!.toLowerCase();
  if (/t10k|test/.test(prefix)) return 'test';
  if (prefix.includes('val')) return 'val';
  return prefix.includes('train') ? 'train' : undefined;
}

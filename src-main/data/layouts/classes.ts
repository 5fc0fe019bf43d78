import { join } from 'node:path';
import { Failure } from '../../base/failure.ts';
import type { Problem } from '../dataset.ts';
import { readLines } from './lines.ts';

/**
 * Refuses classes whose names are equal but for case or Unicode form: a slip that would split a class in two.
 * @throws Failure `dataset`
 */
export function checkClassNames(classes: readonly string[], root: string): void {
  const seen = new Map<string, string>();
  for (const name of classes) {
    const folded = name.normalize('NFC').toLowerCase();
    const other = seen.get(folded);
    if (other !== undefined) {
      const slip = other === name ? 'appears twice' : `and ${JSON.stringify(other)} differ only in case`;
      throw new Failure('dataset', `The class ${JSON.stringify(name)} ${slip} in "${root}": rename or merge them.`);
    }
    seen.set(folded, name);
  }
}

/** The names of classes.txt in a folder, a line each; undefined where there is none. @throws Failure `dataset` */
export async function readClassNames(root: string): Promise<string[] | undefined> {
  return readLines(join(root, 'classes.txt'));
}

/** No real set has more classes; a larger number is a slip, and names for all labels below it would fill the memory. */
const mostClasses = 100_000;

/**
 * A label from 0 up that is not too large.
 * @param where words for its place, as "line 3 of ..."
 * @throws Failure `dataset`
 */
export function checkLabel(label: number, names: readonly string[] | undefined, where: string, list: string): number {
  const classes = names?.length ?? mostClasses;
  if (Number.isInteger(label) && label >= 0 && label < classes) return label;
  throw new Failure(
    'dataset',
    `The label ${label} in ${where} is out of range: ${names ? `${list} names ${classes} classes` : `at most ${classes} classes are supported`}, numbered from 0.`,
  );
}

/** Class names for numbered labels where nobody has given them others: "0", "1", ... */
export function numberedClasses(images: readonly { label: number }[]): string[] {
  const largest = images.reduce((most, { label }) => Math.max(most, label), -1);
  return Array.from({ length: largest + 1 }, (_, label) => String(label));
}

/** A problem for each class that no image is of. */
export function findUnusedClasses(
  classes: readonly string[],
  images: readonly { label: number }[],
  root: string,
): Problem[] {
  const used = new Set(images.map(({ label }) => label));
  return classes.flatMap((name, label) => {
    if (used.has(label)) return [];
    const message = `No image in "${root}" is of the class ${JSON.stringify(name)}.`;
    return [{ kind: 'empty-class', path: root, message, class: name }];
  });
}

/** Distinct labels as class names, in the order of people: numbers by size, else by code unit. */
export function sortedClasses(labels: Iterable<string>): string[] {
  const names = [...new Set(labels)];
  return names.every((name) => /^\d{1,15}$/.test(name)) ? names.sort((a, b) => Number(a) - Number(b)) : names.sort();
}

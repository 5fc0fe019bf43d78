import { Failure } from '../base/failure.ts';
import { locate } from './dataset.ts';
import type { Dataset, DatasetImage, Problem } from './dataset.ts';
import { nameOfImage } from './image-reference.ts';
import { findUnusedClasses } from './layouts/classes.ts';
import type { FoundImage } from './layouts/layout.ts';

/**
 * Classes that can hardly be learnt.
 * @param found what the layout names
 * @param usable what is left of it
 * @throws Failure `dataset` where every image that the layout names for a class is bad
 */
export function findClassProblems(
  source: string,
  classes: readonly string[],
  found: readonly FoundImage[],
  usable: readonly Pick<FoundImage, 'label' | 'split'>[],
): Problem[] {
  if (usable.length === 0) throw new Failure('dataset', `"${source}" has no image that can be read.`);
  const named = countByLabel(classes, found);
  const left = countByLabel(classes, usable);
  const training = countByLabel(
    classes,
    usable.filter((image) => image.split === undefined || image.split === 'train'),
  );
  return classes.flatMap((name, label) => {
    const quoted = JSON.stringify(name);
    if (named[label]! > 0 && left[label] === 0) throw emptied(source, quoted, named[label]!);
    if (left[label] === 1) return [about('single-image', source, name, 'has only one image')];
    if (left[label]! > 0 && training[label] === 0)
      return [about('untrained-class', source, name, 'has no image to train on')];
    return [];
  });
}

function countByLabel(classes: readonly string[], images: readonly { label: number }[]): number[] {
  const counts = classes.map(() => 0);
  for (const { label } of images) counts[label]!++;
  return counts;
}

function emptied(source: string, quoted: string, count: number): Failure {
  const images = count === 1 ? 'the only image' : `none of the ${count} images`;
  const verb = count === 1 ? 'cannot' : 'can';
  return new Failure(
    'dataset',
    `In "${source}" ${images} of the class ${quoted} ${verb} be read: mend or remove the class.`,
  );
}

function about(kind: string, source: string, name: string, what: string): Problem {
  return { kind, path: source, message: `The class ${JSON.stringify(name)} ${what} in "${source}".`, class: name };
}

/** Kinds of problems that are of the images as they are used, and not of the files that were looked at. */
const OF_THE_IMAGES = ['leak', 'conflict', 'duplicate', 'single-image', 'empty-class', 'untrained-class'];

/** The problems of a dataset after edits: those of its files as they were found, those of its images anew. */
export function findProblems(dataset: Dataset): Problem[] {
  const { source, copyOf = source, classes, images } = dataset;
  const used = images.filter(({ excluded }) => !excluded);
  return [
    ...dataset.problems.filter(({ kind }) => !OF_THE_IMAGES.includes(kind)),
    ...findUnusedClasses(classes, used, copyOf),
    ...(used.length > 0 ? findClassProblems(copyOf, classes, used, used) : []),
    ...findDuplicates(source, images),
  ];
}

/**
 * Images with equal contents in more than one split (`leak`: results on the later split are too good), in more than
 * one class (`conflict`), or else twice in the same of both (`duplicate`). One problem a content and kind, which names all
 * images of that content, at the first that gives it away. Excluded images count for nothing.
 */
export function findDuplicates(source: string, images: readonly DatasetImage[]): Problem[] {
  const groups = new Map<string, number[]>();
  images.forEach(({ sha256, excluded }, place) => {
    if (excluded) return;
    const group = groups.get(sha256);
    if (group) group.push(place);
    else groups.set(sha256, [place]);
  });
  return [...groups.values()].filter(({ length }) => length > 1).flatMap((group) => problemsOf(source, images, group));
}

/** @param group places of images with equal contents */
function problemsOf(source: string, images: readonly DatasetImage[], group: number[]): Problem[] {
  const first = images[group[0]!]!;
  const problem = (kind: string, of: 'split' | 'label' | null, what: (image: DatasetImage) => string): Problem[] => {
    const place = group.find((each, index) => (of === null ? index > 0 : images[each]![of] !== first[of]));
    if (place === undefined) return [];
    const image = images[place]!;
    const [here, there] = [locate({ source }, image), locate({ source }, first)];
    const twice = here.path === there.path && here.entry === there.entry;
    const others = group.length === 2 ? '' : ` and ${group.length - 2} more`;
    const message = twice
      ? `${nameOfImage(here)} is listed more than once, under other classes or splits too.`
      : `${nameOfImage(here)} is the same picture as ${nameOfImage(there)}${others}, ${what(image)}.`;
    return [{ kind, path: here.path, message, images: group }];
  };
  const telling = [
    ...problem('leak', 'split', ({ split }) => `which is in ${first.split} and not in ${split}`),
    ...problem('conflict', 'label', () => 'which is in another class'),
  ];
  return telling.length > 0 ? telling : problem('duplicate', null, () => 'in the same class and split');
}

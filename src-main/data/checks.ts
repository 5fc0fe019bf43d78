import { Failure } from '../base/failure.ts';
import { locate } from './dataset.ts';
import type { DatasetImage, Problem } from './dataset.ts';
import { nameOfImage } from './image-reference.ts';
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
    if (left[label] === 1) return [about('single-image', source, `The class ${quoted} has only one image`)];
    if (left[label]! > 0 && training[label] === 0)
      return [about('untrained-class', source, `The class ${quoted} has no image to train on`)];
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

function about(kind: string, source: string, what: string): Problem {
  return { kind, path: source, message: `${what} in "${source}".` };
}

/**
 * Images with equal contents in more than one split (`leak`: results on the later split are too good), in more than
 * one class (`conflict`) or twice in the same of both (`duplicate`). One problem a content and kind, at the first image that gives it away.
 */
export function findDuplicates(source: string, images: readonly DatasetImage[]): Problem[] {
  const first = new Map<string, DatasetImage>();
  const reported = new Set<string>();
  const problems: Problem[] = [];
  for (const image of images) {
    const other = first.get(image.sha256);
    if (other === undefined) {
      first.set(image.sha256, image);
      continue;
    }
    const [here, there] = [locate({ source }, image), locate({ source }, other)];
    const twice = here.path === there.path && here.entry === there.entry;
    const report = (kind: string, what: string) => {
      if (reported.has(kind + image.sha256)) return;
      reported.add(kind + image.sha256);
      problems.push({
        kind,
        path: here.path,
        message: twice
          ? `${nameOfImage(here)} is listed more than once, under other classes or splits too.`
          : `${nameOfImage(here)} is the same picture as ${nameOfImage(there)}, ${what}.`,
      });
    };
    if (image.split !== other.split) report('leak', `which is in ${other.split} and not in ${image.split}`);
    if (image.label !== other.label) report('conflict', 'which is in another class');
    if (image.split === other.split && image.label === other.label) report('duplicate', 'in the same class and split');
  }
  return problems;
}

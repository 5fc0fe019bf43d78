import { Failure } from '../base/failure.ts';
import { locate, type Problem } from './dataset.ts';
import { nameOfImage } from './image-reference.ts';
import type { FoundImage } from './layouts/layout.ts';

/**
 * The images without those that are listed under several classes: an image is of one, and nobody can say which.
 * @throws Failure `dataset` where a class has no other image
 */
export function withoutContradictions(
  source: string,
  classes: readonly string[],
  found: readonly FoundImage[],
): { images: FoundImage[]; problems: Problem[] } {
  const labels = new Map<string, Set<number>>();
  for (const image of found) {
    const key = keyOf(image);
    const known = labels.get(key);
    if (known) known.add(image.label);
    else labels.set(key, new Set([image.label]));
  }
  const images = found.filter((image) => labels.get(keyOf(image))!.size === 1);
  if (images.length === found.length) return { images, problems: [] };
  const left = new Set(images.map(({ label }) => label));
  const emptied = found.find(({ label }) => !left.has(label));
  if (emptied)
    throw new Failure(
      'dataset',
      `Every image of the class ${JSON.stringify(classes[emptied.label])} in "${source}" is listed under another class too, the first being "${emptied.path}": an image is of one class.`,
    );
  const problems: Problem[] = [];
  for (const image of found) {
    const key = keyOf(image);
    const names = [...(labels.get(key) ?? [])].map((label) => JSON.stringify(classes[label]));
    // Once for all its lines.
    labels.delete(key);
    if (names.length < 2) continue;
    const reference = locate({ source }, image);
    const message = `${nameOfImage(reference)} is listed under the classes ${names.slice(0, -1).join(', ')} and ${names.at(-1)!} and was left out: an image is of one.`;
    problems.push({ kind: 'contradiction', path: reference.path, message });
  }
  return { images, problems };
}

const keyOf = ({ path, entry }: FoundImage): string => `${entry ?? ''} ${path}`;

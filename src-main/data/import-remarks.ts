import type { Dataset, DatasetImage } from './dataset.ts';

/**
 * What an import changes of the entry that there was, in a sentence; undefined where nobody would see a difference.
 * @param placeBefore the path under which the entry has an image of the new one
 */
export function changesInWords(
  before: Dataset,
  now: Dataset,
  placeBefore: (image: DatasetImage) => string,
): string | undefined {
  const old = new Map(before.images.map((image) => [keyOf(image.path, image), image]));
  let [fresh, changed] = [0, 0];
  const met = new Set<string>();
  for (const image of now.images) {
    const key = keyOf(placeBefore(image), image);
    const known = old.get(key);
    met.add(key);
    if (!known) fresh++;
    else if (known.sha256 !== image.sha256 || before.classes[known.label] !== now.classes[image.label]) changed++;
  }
  const gone = [...old.keys()].filter((key) => !met.has(key)).length;
  const counts = [
    [fresh, 'new'],
    [gone, 'no longer there'],
    [changed, 'of other content or class'],
  ] as const;
  const words = counts.flatMap(([count, what]) => (count > 0 ? [`${count.toLocaleString('en-US')} ${what}`] : []));
  if (before.format !== now.format) words.push(`read as ${now.format} and no longer as ${before.format}`);
  if (words.length === 0) return undefined;
  return `The dataset "${now.name}" was in the workspace already and has changed: images ${words.join(', ')}.`;
}

const keyOf = (path: string, { entry }: DatasetImage): string => `${entry ?? ''} ${path}`;

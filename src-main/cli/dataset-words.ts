/** Datasets as the command line tells of them. */
import { splitNames } from '../studio/contract.ts';
import type { DatasetSummary, ShownDataset } from '../studio/contract.ts';
import { counted, grouped, table } from './format.ts';

/** A table with a row a dataset. */
export function overviewOfDatasets(all: readonly DatasetSummary[]): string {
  if (all.length === 0) return 'No datasets yet: add one with "sidetune datasets add PATH".';
  return table(
    ['NAME', 'CLASSES>', ...splitNames.map((split) => `${split.toUpperCase()}>`), 'PROBLEMS>'],
    all.map(({ name, classes, splits, problems }) => [
      name,
      grouped(classes.length),
      ...splitNames.map((split) => grouped(splits[split])),
      grouped(problems.length),
    ]),
  );
}

/** Class names and examples of problems that are printed before the rest becomes a number. */
const SHOWN = 20;
const EXAMPLES = 3;

/** Kinds of problems, in words for one and for many. */
const problemWords: Record<string, [string, string]> = {
  'bad-image': ['image that cannot be read', 'images that cannot be read'],
  'missing-file': ['missing file', 'missing files'],
  leak: ['picture in two splits', 'pictures in two splits'],
  conflict: ['picture in two classes', 'pictures in two classes'],
  duplicate: ['picture twice in a class', 'pictures twice in a class'],
  'single-image': ['class with a single image', 'classes with a single image'],
  'empty-class': ['class without images', 'classes without images'],
  'untrained-class': ['class without training images', 'classes without training images'],
};

/** What a dataset is, in lines; of many classes and problems the first, unless everything is wanted of the latter. */
export function describeDataset({ name, classes, splits, problems }: DatasetSummary, everything = false): string {
  const counts = splitNames.flatMap((split) => (splits[split] ? [`${split} ${grouped(splits[split])}`] : []));
  const lines = [
    `${name}: ${counted(classes.length, 'class', 'classes')}; images: ${counts.join(', ')}`,
    `Classes: ${shortened(classes).join(', ')}`,
  ];
  if (problems.length > 0) {
    lines.push(`${counted(problems.length, 'problem')}:`);
    const kinds = [...new Set(problems.map(({ kind }) => kind))];
    const most = everything ? Infinity : problems.length <= SHOWN ? SHOWN : EXAMPLES;
    for (const kind of kinds) {
      const messages = problems.filter((problem) => problem.kind === kind).map(({ message }) => message);
      const [one, many] = problemWords[kind] ?? ['other', 'others'];
      lines.push(`  ${counted(messages.length, one, many)}`);
      lines.push(...messages.slice(0, most).map((message) => `    ${message}`));
      if (messages.length > most)
        lines.push(`    and ${grouped(messages.length - most)} more: "sidetune datasets show ${name} --problems"`);
    }
  }
  return lines.join('\n');
}

/** As `describeDataset`, with where it comes from and lies. */
export function describeShown(shown: ShownDataset, everything = false): string {
  const { source, format, copy } = shown;
  const copied = copy === undefined ? '' : `\nCopied to: ${copy} (the source is needed no more)`;
  return `${describeDataset(shown, everything)}\nSource: ${source} (${format})${copied}`;
}

function shortened(items: readonly string[]): string[] {
  if (items.length <= SHOWN) return [...items];
  return [...items.slice(0, SHOWN), `and ${grouped(items.length - SHOWN)} more (all of them with --json)`];
}

/** Datasets as the command line tells of them. */
import { editInWords, splitNames } from '../studio/contract.ts';
import type { DatasetSummary, EditedDataset, ListedEdit, ShownDataset } from '../studio/contract.ts';
import { counted, grouped, table } from './format.ts';

/** A table with a row a dataset, and below it what is wrong with those that are damaged. */
export function overviewOfDatasets(all: readonly DatasetSummary[]): string {
  if (all.length === 0) return 'No datasets yet: add one with "sidetune datasets add PATH".';
  // One that can be read has classes.
  const damaged = all.filter(({ classes }) => classes.length === 0);
  const rows = all.map(({ name, classes, splits, problems }) => [
    name,
    ...(classes.length === 0
      ? ['-', ...splitNames.map(() => '-'), 'damaged']
      : [grouped(classes.length), ...splitNames.map((split) => grouped(splits[split])), grouped(problems.length)]),
  ]);
  return [
    table(['NAME', 'CLASSES>', ...splitNames.map((split) => `${split.toUpperCase()}>`), 'PROBLEMS>'], rows),
    ...damaged.flatMap(({ name, problems }) => problems.map(({ message }) => `${name}: ${message}`)),
  ].join('\n');
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
  contradiction: ['picture listed under several classes', 'pictures listed under several classes'],
  duplicate: ['picture twice in a class', 'pictures twice in a class'],
  'single-image': ['class with a single image', 'classes with a single image'],
  'empty-class': ['class without images', 'classes without images'],
  'untrained-class': ['class without training images', 'classes without training images'],
};

/** What a dataset is, in lines; of many classes and problems the first, unless everything is wanted of the latter. */
export function describeDataset(dataset: DatasetSummary, everything = false): string {
  const { name, classes, problems } = dataset;
  const lines = [countsInWords(dataset), `Classes: ${shortened(classes).join(', ')}`];
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

function countsInWords({ name, classes, splits, excluded }: DatasetSummary): string {
  const counts = splitNames.flatMap((split) => (splits[split] ? [`${split} ${grouped(splits[split])}`] : []));
  if (excluded) counts.push(`excluded ${grouped(excluded)}`);
  return `${name}: ${counted(classes.length, 'class', 'classes')}; images: ${counts.join(', ')}`;
}

/** As `describeDataset`, with where it comes from and lies. */
export function describeShown(shown: ShownDataset, everything = false): string {
  const { source, format, copy } = shown;
  const copied = copy === undefined ? '' : `\nCopied to: ${copy} (the source is needed no more)`;
  return `${describeDataset(shown, everything)}\nSource: ${source} (${format})${copied}`;
}

/** What an edit has done, in lines. */
export function describeEdited(edited: EditedDataset, step: 'edit' | 'undo' | 'redo'): string {
  const done = { edit: 'Done', undo: 'Taken back', redo: 'Done again' }[step];
  const { edit, changed, problems } = edited;
  return [
    `${done}: ${editInWords(edit)} (${counted(changed, 'image')}).`,
    `${countsInWords(edited)}; ${counted(problems.length, 'problem')}`,
  ].join('\n');
}

/** A row an edit, the newest last; what no longer applies stands below. */
export function overviewOfEdits(name: string, edits: readonly ListedEdit[]): string {
  if (edits.length === 0) return `${name} was never edited.`;
  const rows = edits.map(({ at, edit, state, changed }, index) => [
    String(index + 1),
    at.slice(0, 16).replace('T', ' '),
    editInWords(edit),
    state === 'undone' ? 'undone' : counted(changed ?? 0, 'image'),
  ]);
  const lost = edits.flatMap((each, index) => (each.lost === null ? [] : [`Edit ${index + 1}: ${each.lost}`]));
  return [table(['#>', 'WHEN (UTC)', 'EDIT', 'CHANGES'], rows), ...lost].join('\n');
}

function shortened(items: readonly string[]): string[] {
  if (items.length <= SHOWN) return [...items];
  return [...items.slice(0, SHOWN), `and ${grouped(items.length - SHOWN)} more (all of them with --json)`];
}

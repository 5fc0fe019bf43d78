import type { Command } from 'commander';
import { Option } from 'commander';
import { splitNames } from '../../studio/contract.ts';
import type { DatasetFormat, DatasetSummary } from '../../studio/contract.ts';
import { counted, grouped, table } from '../format.ts';
import type { Session } from '../session.ts';

interface AddFlags {
  name?: string;
  format: DatasetFormat | 'auto';
}

export function addDatasetCommands(program: Command, session: Session): void {
  const datasets = program.command('datasets').description('folders of labelled images');

  datasets
    .command('add')
    .description('take a folder of labelled images into the workspace, by reference')
    .argument(
      '<path>',
      'a folder of class folders (with train/, val/, test/ or without), of VTAB-1K lists, of parquet or IDX files, or with a CSV; or one such file',
    )
    .option('--name <name>', "its name in the workspace (default: the folder's)")
    .addOption(
      new Option('--format <format>', 'its layout')
        .choices(['auto', 'folder', 'lists', 'csv', 'parquet', 'idx'])
        .default('auto'),
    )
    .action(async (path: string, { name, format }: AddFlags) => {
      const { addDataset } = await import('../../studio/datasets.ts');
      const summary = await addDataset(await session.workspace(), { path, name, format }, session.task());
      session.answer(summary, describe(summary));
    });

  datasets
    .command('list')
    .description('the datasets of the workspace')
    .action(async () => {
      const { listDatasets } = await import('../../studio/datasets.ts');
      const all = await listDatasets(await session.workspace());
      session.answer({ datasets: all }, all.length === 0 ? nothing : overview(all));
    });

  datasets
    .command('show')
    .description('classes, splits and the problems found')
    .argument('<name>')
    .option('--problems', 'all problems, a line each')
    .action(async (name: string, { problems }: { problems?: boolean }) => {
      const { showDataset } = await import('../../studio/datasets.ts');
      const shown = await showDataset(await session.workspace(), name);
      session.answer(shown, `${describe(shown, problems)}\nSource: ${shown.source} (${shown.format})`);
    });

  datasets
    .command('remove')
    .description('forget a dataset; your own files stay as they are')
    .argument('<name>')
    .action(async (name: string) => {
      const { removeDataset } = await import('../../studio/datasets.ts');
      const { runs } = await removeDataset(await session.workspace(), name);
      const kept = `${counted(runs, 'run')} trained on it ${runs === 1 ? 'keeps its result' : 'keep their results'}; to evaluate or export ${runs === 1 ? 'it' : 'them'}, add the images again under this name.`;
      const words = `Forgot the dataset "${name}"; its images were left as they are.${runs === 0 ? '' : ` ${kept}`}`;
      session.answer({ name, removed: true, runs }, words);
    });
}

const nothing = 'No datasets yet: add one with "sidetune datasets add PATH".';

function overview(all: readonly DatasetSummary[]): string {
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

function describe({ name, classes, splits, problems }: DatasetSummary, everything = false): string {
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

function shortened(items: readonly string[]): string[] {
  if (items.length <= SHOWN) return [...items];
  return [...items.slice(0, SHOWN), `and ${grouped(items.length - SHOWN)} more (all of them with --json)`];
}

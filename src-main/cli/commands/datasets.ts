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
    .action(async (name: string) => {
      const { showDataset } = await import('../../studio/datasets.ts');
      const shown = await showDataset(await session.workspace(), name);
      session.answer(shown, `${describe(shown)}\nSource: ${shown.source} (${shown.format})`);
    });

  datasets
    .command('remove')
    .description('forget a dataset; your own files stay as they are')
    .argument('<name>')
    .action(async (name: string) => {
      const { removeDataset } = await import('../../studio/datasets.ts');
      await removeDataset(await session.workspace(), name);
      session.answer({ name, removed: true }, `Forgot the dataset "${name}"; its images were left as they are.`);
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

const SHOWN = 20;

function describe({ name, classes, splits, problems }: DatasetSummary): string {
  const counts = splitNames.flatMap((split) => (splits[split] ? [`${split} ${grouped(splits[split])}`] : []));
  const lines = [
    `${name}: ${counted(classes.length, 'class', 'classes')}; images: ${counts.join(', ')}`,
    `Classes: ${shortened(classes).join(', ')}`,
  ];
  if (problems.length > 0) {
    lines.push(`${counted(problems.length, 'problem')}:`);
    lines.push(...shortened(problems.map(({ message }) => message)).map((message) => `  ${message}`));
  }
  return lines.join('\n');
}

function shortened(items: readonly string[]): string[] {
  if (items.length <= SHOWN) return [...items];
  return [...items.slice(0, SHOWN), `and ${grouped(items.length - SHOWN)} more (all of them with --json)`];
}

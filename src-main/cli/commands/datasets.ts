import type { Command } from 'commander';
import { Option } from 'commander';
import type { DatasetFormat } from '../../studio/contract.ts';
import { describeDataset, describeShown, overviewOfDatasets } from '../dataset-words.ts';
import { counted } from '../format.ts';
import type { Session } from '../session.ts';
import { addEditCommands } from './dataset-edits.ts';

interface AddFlags {
  name?: string;
  format: DatasetFormat | 'auto';
  copy?: boolean;
}

export function addDatasetCommands(program: Command, session: Session): void {
  const datasets = program.command('datasets').description('folders of labelled images');

  datasets
    .command('add')
    .description('take a folder of labelled images into the workspace, by reference or as a copy')
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
    .option('--copy', 'copy the images into the workspace, so that the originals may go')
    .action(async (path: string, { name, format, copy }: AddFlags) => {
      session.whenInterrupted = 'Interrupted; the same command goes on with the images that it has not checked.';
      const { addDataset } = await import('../../studio/datasets/datasets.ts');
      const summary = await addDataset(await session.workspace(), { path, name, format, copy }, session.task());
      if (summary.sameAs)
        session.remark(
          `It is in the workspace already, as ${summary.sameAs.join(', ')}${summary.sharesFeatures ? ': they share their features' : ''}.`,
        );
      session.answer(summary, describeDataset(summary));
    });

  datasets
    .command('list')
    .description('the datasets of the workspace')
    .action(async () => {
      const { listDatasets } = await import('../../studio/datasets/datasets.ts');
      const all = await listDatasets(await session.workspace());
      session.answer({ datasets: all }, overviewOfDatasets(all));
    });

  datasets
    .command('show')
    .description('classes, splits and the problems found')
    .argument('<name>')
    .option('--problems', 'all problems, a line each')
    .action(async (name: string, { problems }: { problems?: boolean }) => {
      const { showDataset } = await import('../../studio/datasets/datasets.ts');
      const shown = await showDataset(await session.workspace(), name);
      session.answer(shown, describeShown(shown, problems));
    });

  addEditCommands(datasets, session);

  datasets
    .command('remove')
    .description('forget a dataset, with its copies of images; your own files stay as they are')
    .argument('<name>')
    .action(async (name: string) => {
      const { removeDataset } = await import('../../studio/datasets/datasets.ts');
      const { runs, sweeps, copies } = await removeDataset(await session.workspace(), name);
      const kept = `${counted(runs, 'run')} trained on it ${runs === 1 ? 'keeps its result' : 'keep their results'}; to evaluate or export ${runs === 1 ? 'it' : 'them'}, add the images again under this name.`;
      const searched = `${counted(sweeps, 'sweep')} on it ${sweeps === 1 ? 'keeps its' : 'keep their'} trials, and can go on once the images are there again under this name.`;
      const images = copies
        ? 'and deleted the copies of its images; the originals were left as they are'
        : 'its images were left as they are';
      const words = `Forgot the dataset "${name}"${copies ? ' ' : '; '}${images}.${runs === 0 ? '' : ` ${kept}`}${sweeps === 0 ? '' : ` ${searched}`}`;
      session.answer(
        { name, removed: true, runs, ...(sweeps > 0 ? { sweeps } : {}), ...(copies ? { copies } : {}) },
        words,
      );
    });
}

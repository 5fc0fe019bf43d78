import type { Command } from 'commander';
import { settingInWords } from '../../studio/runs.ts';
import type { ShownRun } from '../../studio/runs.ts';
import { table } from '../format.ts';
import { comparisonTable, curves, describeResult, RUN, runTable } from '../run-words.ts';
import type { Session } from '../session.ts';

export function addRunCommands(program: Command, session: Session): void {
  const runs = program.command('runs').description('what was trained');

  runs
    .command('list')
    .description('all runs, oldest first, unfinished ones too')
    .action(async () => {
      const { listRuns } = await import('../../studio/runs.ts');
      const listed = await listRuns(await session.workspace());
      session.answer(listed, listed.runs.length === 0 ? nothing : runTable(listed.runs));
    });

  runs
    .command('show')
    .description('the settings of a run, its result and how it came there')
    .argument('<run>', RUN)
    .action(async (run: string) => {
      const { showRun } = await import('../../studio/runs.ts');
      const shown = await showRun(await session.workspace(), run);
      session.answer(shown, describe(shown));
    });

  runs
    .command('compare')
    .description('runs side by side: the settings in which they differ, and what came of it')
    .argument('<runs...>', `two or more, each ${RUN}`)
    .action(async (names: string[]) => {
      const { compareRuns } = await import('../../studio/runs.ts');
      const comparison = await compareRuns(await session.workspace(), names);
      session.answer(comparison, comparisonTable(comparison));
    });

  runs
    .command('remove')
    .description('remove runs, all or none of those named; what was exported from them stays')
    .argument('<runs...>', `each ${RUN}`)
    .action(async (names: string[]) => {
      const { removeRuns } = await import('../../studio/runs.ts');
      const answer = await removeRuns(await session.workspace(), names);
      session.answer(answer, answer.removed.map((run) => `Removed ${run}.`).join('\n'));
    });
}

const nothing = 'No runs yet: train one with "sidetune train --dataset PATH --backbone FILE.onnx --method last".';

function describe({ run, config, result, epochs }: ShownRun): string {
  const facts = [
    ['dataset', config.dataset],
    ['backbone', config.backbone],
    ['engine', `${config.engine} on ${config.device}, ${config.threads} threads, ${config.stepForm} step`],
    ...Object.entries(config.settings).flatMap(([name, value]) =>
      value === null ? [] : [[settingInWords(name), String(value)]],
    ),
  ];
  return [
    result ? describeResult(result) : `${run}: unfinished, ${epochs.length} of ${config.settings.epochs} epochs done`,
    table(['SETTING', 'VALUE'], facts),
    curves(epochs),
  ].join('\n\n');
}

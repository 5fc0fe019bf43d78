import type { Command } from 'commander';
import { Option } from 'commander';
import { z } from 'zod';
import { splitNames } from '../../studio/contract.ts';
import { settingInWords } from '../../studio/runs.ts';
import type { ShownRun } from '../../studio/runs.ts';
import { describeAttention, describeMistakes } from '../analysis-words.ts';
import { checkFlags, wholeNumber } from '../flags.ts';
import { table } from '../format.ts';
import { comparisonTable, curves, describeResult, RUN, runTable } from '../run-words.ts';
import type { Session } from '../session.ts';

const mistakesFlags = z.object({
  split: z.enum(splitNames).optional(),
  limit: wholeNumber('--limit', { min: 1 }),
});
const attentionFlags = z.object({ out: z.string().optional() });

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

  runs
    .command('mistakes')
    .description('the images that a run got most wrong; it is evaluated first where it has not been')
    .argument('<run>', RUN)
    .addOption(
      new Option('--split <split>', 'of its dataset (default: test where there is one, else val)').choices(splitNames),
    )
    .option('--limit <n>', 'images listed', '20')
    .action(async (run: string, options: unknown) => {
      const flags = checkFlags(mistakesFlags, options);
      const { worstMistakes } = await import('../../studio/analysis/headless.ts');
      const mistakes = await worstMistakes(await session.workspace(), { run, ...flags }, session.task());
      session.answer(mistakes, describeMistakes(mistakes));
    });

  runs
    .command('attention')
    .description("where the modules of a run's side network look in an image")
    .argument('<run>', RUN)
    .argument('<image>', 'an image file')
    .option('--out <file>', 'draw it into a .png file')
    .action(async (run: string, image: string, options: unknown) => {
      const flags = checkFlags(attentionFlags, options);
      const { attentionOfFile } = await import('../../studio/analysis/headless.ts');
      const attention = await attentionOfFile(await session.workspace(), { run, image, ...flags });
      session.answer(attention, describeAttention(attention));
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

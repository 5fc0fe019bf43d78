/** A trained run put to use: `evaluate` and `predict`. */
import type { Command } from 'commander';
import { Option } from 'commander';
import { z } from 'zod';
import { splitNames } from '../../studio/contract.ts';
import type { Evaluation, Prediction } from '../../studio/contract.ts';
import { EXIT } from '../errors.ts';
import { checkFlags, wholeNumber } from '../flags.ts';
import { counted, grouped, percent, table } from '../format.ts';
import { RUN } from '../run-words.ts';
import type { Session } from '../session.ts';

const evaluateFlags = z.object({
  split: z.enum(splitNames).optional(),
  threads: wholeNumber('--threads', { min: 1 }).optional(),
});
const predictFlags = evaluateFlags.pick({ threads: true });

export function addApplyCommands(program: Command, session: Session): void {
  program
    .command('evaluate')
    .description('the scores of a run, class by class')
    .argument('<run>', RUN)
    .addOption(
      new Option('--split <split>', 'of its dataset (default: test where there is one, else val)').choices(splitNames),
    )
    .option('--threads <n>', 'default: all cores')
    .action(async (run: string, options: unknown) => {
      const { split, threads } = checkFlags(evaluateFlags, options);
      const { evaluate } = await import('../../studio/evaluate.ts');
      const evaluation = await evaluate(await session.workspace(), { run, split, threads }, session.task());
      session.answer(evaluation, describe(evaluation));
    });

  program
    .command('predict')
    .description('classify images with a run')
    .argument('<run>', RUN)
    .argument('<images...>', 'image files')
    .option('--threads <n>', 'default: all cores')
    .action(async (run: string, images: string[], options: unknown) => {
      const { threads } = checkFlags(predictFlags, options);
      const { predict } = await import('../../studio/predict.ts');
      const answer = await predict(await session.workspace(), { run, images, threads }, session.task());
      for (const prediction of answer.predictions) if ('error' in prediction) session.remark(prediction.error);
      if (answer.predictions.some((prediction) => 'error' in prediction)) session.exitCode = EXIT.failed;
      session.answer(answer, predictionTable(answer.predictions));
    });
}

/** Beyond so many classes a confusion matrix fits no terminal; --json has it whole. */
const CONFUSION_CLASSES = 20;

function describe({ run, split, images, top1, macro, ece, perClass, confusion }: Evaluation): string {
  const scores = table(
    ['CLASS', 'IMAGES>', 'PRECISION>', 'RECALL>', 'F1>'],
    perClass.map((row) => [
      row.class,
      grouped(row.images),
      percent(row.precision),
      percent(row.recall),
      percent(row.f1),
    ]),
  );
  const parts = [
    `${run} on ${split}, ${counted(images, 'image')}: top-1 ${percent(top1)}, macro ${percent(macro)}, calibration error ${percent(ece)}`,
    scores,
  ];
  if (confusion.length <= CONFUSION_CLASSES) {
    const headings = ['TRUE \\ PREDICTED', ...perClass.map((row) => `${row.class}>`)];
    parts.push(
      table(
        headings,
        confusion.map((row, index) => [perClass[index]?.class ?? '', ...row.map(grouped)]),
      ),
    );
  }
  return parts.join('\n\n');
}

function predictionTable(predictions: readonly Prediction[]): string {
  return table(
    ['IMAGE', 'LABEL', 'PROBABILITY>', 'NEXT'],
    predictions.map((prediction) => {
      if ('error' in prediction) return [prediction.image, '-', '-', 'could not be read'];
      const [first, second] = prediction.top;
      const next = second ? `${second.label} ${percent(second.probability)}` : '';
      return [prediction.image, prediction.label, percent(first?.probability), next];
    }),
  );
}

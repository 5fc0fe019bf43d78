/** A trained run put to use: `evaluate` and `predict`. */
import type { Command } from 'commander';
import { Option } from 'commander';
import { z } from 'zod';
import { splitNames } from '../../studio/contract.ts';
import { EXIT } from '../errors.ts';
import { checkFlags, MOST_THREADS, wholeNumber } from '../flags.ts';
import { describeEvaluation } from '../evaluation-words.ts';
import { describePredictions } from '../prediction-words.ts';
import { RUN } from '../run-words.ts';
import type { Session } from '../session.ts';

const evaluateFlags = z.object({
  split: z.enum(splitNames).optional(),
  threads: wholeNumber('--threads', { min: 1, max: MOST_THREADS }).optional(),
  predictions: z.string().optional(),
});
const predictFlags = z.object({
  out: z.string().optional(),
  threads: wholeNumber('--threads', { min: 1, max: MOST_THREADS }).optional(),
});

export function addApplyCommands(program: Command, session: Session): void {
  program
    .command('evaluate')
    .description('the scores of a run, class by class')
    .argument('<run>', RUN)
    .addOption(
      new Option('--split <split>', 'of its dataset (default: test where there is one, else val)').choices(splitNames),
    )
    .option('--predictions <file>', 'write what each image was taken for to a .csv or .json file')
    .option('--threads <n>', 'default: all cores')
    .action(async (run: string, options: unknown) => {
      const flags = checkFlags(evaluateFlags, options);
      const { evaluate } = await import('../../studio/evaluate.ts');
      const evaluation = await evaluate(await session.workspace(), { run, ...flags }, session.task());
      session.answer(evaluation, describeEvaluation(evaluation));
    });

  program
    .command('predict')
    .description('classify images with a run')
    .argument('<run>', RUN)
    .argument('<images...>', 'image files, and folders of them')
    .option('--out <file>', 'write the predictions to a .csv or .json file')
    .option('--threads <n>', 'default: all cores')
    .action(async (run: string, images: string[], options: unknown) => {
      const flags = checkFlags(predictFlags, options);
      const { predict } = await import('../../studio/predict.ts');
      const answer = await predict(await session.workspace(), { run, images, ...flags }, session.task());
      for (const prediction of answer.predictions) if ('error' in prediction) session.remark(prediction.error);
      if (answer.predictions.some((prediction) => 'error' in prediction)) session.exitCode = EXIT.failed;
      session.answer(answer, describePredictions(answer));
    });
}

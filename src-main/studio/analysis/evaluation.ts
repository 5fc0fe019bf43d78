/** What an evaluation says, and how it is kept beside its run. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { exists } from '../../base/exists.ts';
import { splitNames, type SplitName } from '../../data/dataset.ts';
import { reliabilityBinSchema } from '../../training/metrics.ts';
import { runFile } from '../../training/run-folder.ts';
import { writeFileAtomic } from '../../workspace/atomic.ts';
import { parseSealed, sealed } from '../../workspace/record.ts';
import type { Workspace } from '../../workspace/workspace.ts';

const averagesSchema = z.object({ precision: z.number(), recall: z.number(), f1: z.number() });

/** Fractions 0 to 1; `confusion[i][j]` images of class i were taken for class j. */
const evaluationSchema = z.object({
  run: z.string(),
  split: z.enum(splitNames),
  images: z.int(),
  /** The epoch whose parameters these are: the best on val. */
  epoch: z.int(),
  top1: z.number(),
  /** Of top-1. */
  interval: z.object({ level: z.number(), low: z.number(), high: z.number() }),
  /** Mean recall of the classes. */
  macro: z.number(),
  averages: averagesSchema,
  loss: z.number(),
  ece: z.number(),
  /** What `ece` is made of. */
  reliability: z.array(reliabilityBinSchema),
  perClass: z.array(averagesSchema.extend({ class: z.string(), images: z.int() })),
  confusion: z.array(z.array(z.int())),
  /** Absolute path of the predictions file, where one was asked for. */
  predictions: z.string().optional(),
});
export type Evaluation = z.infer<typeof evaluationSchema>;

/** What each image of the split was taken for, in the dataset's order. */
const outcomesSchema = z.object({
  predicted: z.array(z.int()),
  /** Probability of the class that was predicted. */
  confidence: z.array(z.number()),
  /** Probability of the image's own class. */
  own: z.array(z.number()),
});
export type Outcomes = z.infer<typeof outcomesSchema>;

const keptSchema = z.object({
  version: z.literal(1),
  /** Of the contents and labels of the split. */
  data: z.string(),
  evaluation: evaluationSchema,
  /** Null where there were more images than are kept. */
  outcomes: outcomesSchema.nullable(),
});
export type KeptEvaluation = z.infer<typeof keptSchema>;

/** Images whose outcomes are kept beside a run: some megabytes at most. */
const MOST_KEPT = 50_000;

function keptFile(workspace: Workspace, run: string, split: SplitName): string {
  return join(workspace.run(run), `evaluation-${split}.json`);
}

/** Keeps an evaluation beside its run, in place of an earlier one of the split. @param data hash of the split's images */
export async function keepEvaluation(
  workspace: Workspace,
  evaluation: Evaluation,
  outcomes: Outcomes,
  data: string,
): Promise<void> {
  const { run, split } = evaluation;
  // A run that was removed meanwhile must not come back as half a folder.
  if (!(await exists(runFile(workspace, run, 'config')))) return;
  const few = outcomes.predicted.length <= MOST_KEPT;
  const { predictions: _, ...said } = evaluation;
  const kept: KeptEvaluation = { version: 1, data, evaluation: said, outcomes: few ? outcomes : null };
  await writeFileAtomic(keptFile(workspace, run, split), `${JSON.stringify(sealed(kept))}\n`);
}

/** The evaluation that is kept of a split, whatever has become of the split since; null where none can be read. */
export async function readEvaluation(
  workspace: Workspace,
  run: string,
  split: SplitName,
): Promise<KeptEvaluation | null> {
  try {
    return keptSchema.parse(parseSealed(await readFile(keptFile(workspace, run, split), 'utf8')));
  } catch {
    // It is made anew by the next evaluation.
    return null;
  }
}

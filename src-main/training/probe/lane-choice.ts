import { cpus } from 'node:os';
import { z } from 'zod';
import { entryBeside, trainingArguments } from '../../base/fork-entry.ts';
import type { TaskOptions } from '../../base/progress.ts';
import { ORT_VERSION } from '../../engine/session.ts';
import type { Workspace } from '../../workspace/workspace.ts';
import { keptProbe } from './kept-probe.ts';
import { laneKey } from '../lane-key.ts';
import { runProbe } from './start-probe.ts';
import type { StepQuestion } from './step-question.ts';

/** What a trial costs before it trains, and when it does. */
const laneTimesSchema = z.object({
  /** A process started and its graphs compiled. */
  startSeconds: z.number().positive(),
  /** Of one thread, for forward and backward of an image. */
  secondsPerImage: z.number().positive(),
});
export type LaneTimes = z.infer<typeof laneTimesSchema>;

/** Of a trial's time, what its start may take; what is more is shared among lanes. */
const START_SHARE = 0.05;
const MOST = 8;

const LONGEST_MS = 20_000;

/**
 * How many trials of a kind a process should train together. On a CPU lanes save no arithmetic: they save the start of a
 * process and its graphs, and reading, so short trials gain by them and long ones do not. The start and a gradient are
 * timed once for each shape, in a few seconds, and kept in the workspace's `probes`.
 * @param images training images of an epoch
 */
export async function chooseLanes(
  workspace: Workspace,
  question: StepQuestion,
  images: number,
  { signal }: Pick<TaskOptions, 'signal'> = {},
): Promise<number> {
  const { settings, frozen, threads } = question;
  const { layout, blocks, classes } = frozen;
  const shape = laneKey({ ...settings, seed: 0, limit: null });
  const processor = cpus()[0]?.model ?? process.arch;
  const of = { processor, onnxruntime: ORT_VERSION, shape, layout, blocks, classes: atMost(classes) };
  const probe = { file: `lanes-${settings.method}`, field: 'times', of, schema: laneTimesSchema };
  const times = await keptProbe(workspace, probe, () => timeInProcess(question, signal));
  // A probe that came to grief is no reason not to train.
  return times ? lanesFor(times, (settings.epochs * images) / threads) : 1;
}

/** A power of two, and no small one: a head of a few classes more takes no longer, and is not worth another probe. */
function atMost(classes: number): number {
  return Math.max(64, 2 ** Math.ceil(Math.log2(classes)));
}

/** The fewest lanes, a power of two, with which the start of a process is a small part of a trial. */
export function lanesFor({ startSeconds, secondsPerImage }: LaneTimes, images: number): number {
  let lanes = 1;
  while (lanes < MOST && startSeconds / lanes > START_SHARE * images * secondsPerImage) lanes *= 2;
  return lanes;
}

/** Times the start of a process like a trainer's, and what it tells of a gradient. @throws the signal's reason when stopped */
async function timeInProcess(question: StepQuestion, signal: AbortSignal | undefined): Promise<LaneTimes | undefined> {
  const begun = performance.now();
  let startSeconds: number | undefined;
  let secondsPerImage: number | undefined;
  const hear = (answer: unknown) => {
    if (answer === 'open') startSeconds = (performance.now() - begun) / 1000;
    else secondsPerImage = Number(answer);
  };
  const options = { longestMs: LONGEST_MS, execArgv: trainingArguments, signal };
  await runProbe(entryBeside('./lane-probe-process', import.meta.url), question, hear, options);
  return laneTimesSchema.safeParse({ startSeconds, secondsPerImage }).data;
}

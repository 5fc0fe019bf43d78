import { cpus } from 'node:os';
import { z } from 'zod';
import type { TaskOptions } from '../../base/progress.ts';
import { ORT_VERSION } from '../../engine/session.ts';
import type { StepForm } from '../../methods/network.ts';
import type { Workspace } from '../../workspace/workspace.ts';
import { buildNetwork } from '../build-network.ts';
import { keptProbe } from './kept-probe.ts';
import { defaultMicroBatch } from '../micro-batch.ts';
import { timedStepSchema, type StepQuestion, type TimedStep } from './step-question.ts';
import { probeInProcess } from './start-step-probe.ts';

/** How a gradient is computed: the same mathematics at another speed, and with other last bits. */
export interface StepChoice {
  stepForm: StepForm;
  microBatch: number;
}

const timedSchema = z.array(timedStepSchema).min(1);

/** Training that is over sooner is not worth the seconds that a probe takes. */
const WORTH_PROBING_SECONDS = 20;

/** A larger micro-batch, or the less usual form, has to be this much faster: it takes more memory, and timings vary. */
const CLEARLY = 0.93;

/**
 * The step's form and micro-batch for a new run. The first long run of its shape on a machine tries the gradient
 * programs for a few seconds; the times are kept in the workspace's `probes`, so that later runs choose alike. Short
 * runs, those without a cache, and those on the eager engine take the usual choice.
 * @param images training images of an epoch
 * @param asked a form that the user insists on
 */
export async function chooseStep(
  workspace: Workspace,
  { settings: given, ...others }: StepQuestion,
  images: number,
  asked?: StepForm,
  { signal }: Pick<TaskOptions, 'signal'> = {},
): Promise<StepChoice> {
  // Of a batch larger than all images the rest would be padding, and memory for it.
  const settings = { ...given, batch: Math.min(given.batch, images) };
  const question: StepQuestion = { settings, ...others };
  const { frozen, threads, engine } = question;
  const { maps } = buildNetwork(settings, frozen, 'plain');
  const guess: StepChoice = {
    stepForm: asked ?? 'plain',
    microBatch: defaultMicroBatch(frozen.layout, maps.length, settings.batch, threads),
  };
  // Without a cache the ViT's time is all that counts.
  if (engine === 'eager' || settings.cache === 'none') return guess;
  if (guessedSeconds(question, images) < WORTH_PROBING_SECONDS) return guess;
  const of = keyOf(question);
  const probe = { file: `${of.method}-${of.tokens}x${of.width}`, field: 'timed', of, schema: timedSchema };
  const timed = await keptProbe(workspace, probe, async () => {
    const found = await probeInProcess(question, signal);
    return found.length > 0 ? found : undefined;
  });
  // A probe that came to grief is no reason not to train.
  return (timed && chooseFrom(timed, asked)) ?? guess;
}

/** Of what was timed, the fastest, but for what is hardly faster than a smaller micro-batch or the plain form. */
export function chooseFrom(timed: readonly TimedStep[], asked?: StepForm): StepChoice | undefined {
  let chosen: TimedStep | undefined;
  const order = timed
    .filter(({ stepForm }) => asked === undefined || stepForm === asked)
    .toSorted((a, b) => Number(a.stepForm !== 'plain') - Number(b.stepForm !== 'plain') || a.microBatch - b.microBatch);
  for (const step of order) if (!chosen || step.msPerImage < CLEARLY * chosen.msPerImage) chosen = step;
  return chosen && { stepForm: chosen.stepForm, microBatch: chosen.microBatch };
}

/** Seconds that a run's gradients may take: wide enough of the mark for a forecast, near enough to know a short run. */
function guessedSeconds({ settings, frozen, threads }: StepQuestion, images: number): number {
  const { tokens, width } = frozen.layout;
  const { modules } = buildNetwork(settings, frozen, 'plain');
  return (settings.epochs * images * modules * tokens * (tokens + width) * 5e-9) / threads;
}

/** All that the times depend on, readable in the file. */
function keyOf({ settings, frozen: { layout, blocks, classes }, threads }: StepQuestion) {
  const { method, pool, rank, depth, group, batch, dropPath } = settings;
  return {
    processor: cpus()[0]?.model ?? process.arch,
    platform: `${process.platform} ${process.arch}`,
    onnxruntime: ORT_VERSION,
    threads,
    method,
    pool,
    rank,
    depth,
    group,
    batch,
    dropPath: dropPath > 0,
    ...layout,
    blocks,
    classes,
  };
}

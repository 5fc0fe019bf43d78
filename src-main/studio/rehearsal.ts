/** A small part of a training, done for real and thrown away: what the whole will take follows from it. */
import { rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { peakRssBytes } from '../base/peak-memory.ts';
import type { TaskOptions } from '../base/progress.ts';
import type { DatasetImage } from '../data/dataset.ts';
import { extractFeatures, type ExtractionRequest } from '../features/extract.ts';
import type { FeatureSet } from '../features/feature-set.ts';
import type { TrainingJob } from '../training/job.ts';
import { trainInProcess } from '../training/start-trainer.ts';
import { temporaryName } from '../workspace/atomic.ts';
import { sweepTemporaries } from '../workspace/sweep.ts';
import type { Workspace } from '../workspace/workspace.ts';

export interface ExtractionPace {
  /** Until the first batch: the decoder started, the model opened. */
  openSeconds: number;
  secondsPerImage: number;
  peakRssBytes: number;
}

/** Extracts the features of some images for as long as `use` takes. */
export async function rehearseExtraction<T>(
  workspace: Workspace,
  request: Omit<ExtractionRequest, 'lists'>,
  images: readonly DatasetImage[],
  { signal }: Pick<TaskOptions, 'signal'>,
  use: (set: FeatureSet, pace: ExtractionPace) => Promise<T>,
): Promise<T> {
  const begun = performance.now();
  const reports: { done: number; at: number }[] = [];
  const { sets, seconds } = await extractFeatures(
    workspace,
    { ...request, lists: [images] },
    { signal, onProgress: ({ done }) => reports.push({ done, at: performance.now() }) },
  );
  const [set] = sets;
  try {
    const [first, last] = [reports[0], reports.at(-1)];
    const steady = first && last && last.done > first.done;
    const secondsPerImage = steady ? (last.at - first.at) / 1000 / (last.done - first.done) : seconds / images.length;
    const openSeconds = first ? Math.max(0, (first.at - begun) / 1000 - first.done * secondsPerImage) : 0;
    return await use(set!, { openSeconds, secondsPerImage, peakRssBytes: peakRssBytes() });
  } finally {
    // Of images that are all there are, or of an earlier forecast that was cut off, nothing is lost either.
    await rm(dirname(set!.base), { recursive: true, force: true });
  }
}

export interface TrainingPace {
  /** From the start of the process until it begins. */
  startSeconds: number;
  /** Graphs compiled, features opened. */
  openSeconds: number;
  /** Of an epoch with its look at val, per training image. */
  secondsPerImage: number;
  /** Of an epoch, whatever its size: checkpoints. */
  secondsPerEpoch: number;
  peakRssBytes: number;
}

/** Epochs of a rehearsal, and those of them that pay for what is done once: memory taken, code compiled. */
const EPOCHS = 12;
const WARM_UP = 5;

/** Trains a few epochs in a folder that is gone afterwards. @param job of some images, val in the proportion of the run */
export async function rehearseTraining(
  workspace: Workspace,
  job: TrainingJob,
  { signal }: Pick<TaskOptions, 'signal'>,
): Promise<TrainingPace> {
  await sweepTemporaries(workspace.runs);
  const folder = temporaryName(workspace.run('rehearsal'));
  const settings = { ...job.config.settings, epochs: EPOCHS, warmStart: 'none' as const };
  const ends: number[] = [];
  const epochs: number[] = [];
  const begun = performance.now();
  try {
    const outcome = await trainInProcess(
      { ...job, folder, config: { ...job.config, settings }, resume: false, test: null },
      {
        signal,
        isRehearsal: true,
        onEpoch: ({ seconds }) => {
          ends.push(performance.now() / 1000);
          epochs.push(seconds);
        },
      },
    );
    const whole = (performance.now() - begun) / 1000;
    const ofEpoch = median(epochs.slice(WARM_UP));
    const between = median(ends.slice(WARM_UP).map((end, index) => end - ends[WARM_UP + index - 1]!));
    return {
      startSeconds: Math.max(0, whole - outcome.seconds),
      openSeconds: Math.max(0, outcome.seconds - EPOCHS * between),
      secondsPerImage: ofEpoch / job.train.labels.length,
      secondsPerEpoch: Math.max(0, between - ofEpoch),
      peakRssBytes: outcome.peakRssBytes,
    };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1]!;
}

import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomic } from '../workspace/atomic.ts';
import type { Engine } from '../engine/program.ts';
import { buildNetwork } from './build-network.ts';
import {
  readCheckpoint,
  readCheckpointMetadata,
  readParameters,
  writeCheckpoint,
  writeParameters,
  type Checkpoint,
} from './checkpoint.ts';
import { EpochRunner, type EpochOptions } from './epoch.ts';
import { Evaluator, type EvaluatorOptions } from './evaluate-network.ts';
import type { TrainingJob, TrainingOutcome } from './job.ts';
import { linearProbe } from './linear-probe.ts';
import { Optimizer } from './optimizer.ts';
import { ParameterLayout } from './parameters.ts';
import { appendMetrics, readMetrics, runFiles, type EpochMetrics, type Score } from './run-folder.ts';
import { scheduleFactor } from './schedule.ts';
import { WARM_UP } from './settings.ts';

export interface TrainingListener {
  /** Images done, of all epochs. */
  onProgress?: (done: number, total: number) => void;
  onEpoch?: (metrics: EpochMetrics) => void;
  signal?: AbortSignal;
}

/** Val images in one batch of an evaluation. */
const EVALUATION_BATCH = 8;

interface Best {
  epoch: number;
  val: Score | null;
}

/**
 * Trains a run to its end, or on from its checkpoint: an epoch, val, metrics.jsonl, the best parameters so far (first
 * best top-1 on val; without a val split, the last), the checkpoint. Then test, read once, with the best parameters.
 * What an epoch does depends on the seed and its number alone, so a resumed run gives the same numbers bit for bit.
 */
export async function trainNetwork(
  engine: Engine,
  job: TrainingJob,
  listener: TrainingListener = {},
): Promise<TrainingOutcome> {
  const started = performance.now();
  const { config, folder, ground, train, val, test } = job;
  const { settings } = config;
  const network = buildNetwork(settings, ground, config.stepForm);
  const parameters = new ParameterLayout(network.parameters);
  const shared: EvaluatorOptions = {
    network,
    parameters,
    layout: ground.layout,
    pool: settings.pool,
    form: config.stepForm,
    batch: EVALUATION_BATCH,
  };
  const path = (file: keyof typeof runFiles) => join(folder, runFiles[file]);

  const resumed = job.resume ? await resumeFrom(folder, parameters) : undefined;
  const first: Checkpoint = resumed?.checkpoint ?? (await initialCheckpoint(engine, job, parameters, listener.signal));
  const history = resumed ? await readMetrics(path('metrics'), first.epoch) : [];
  // Lines of an epoch whose checkpoint was lost are written again.
  await writeFileAtomic(path('metrics'), history.map((line) => `${JSON.stringify(line)}\n`).join(''));
  let best: Best | undefined = resumed?.best;

  const runner = await EpochRunner.open(engine, train, epochOptions(job, shared), config.threads);
  const optimizer = await Optimizer.create(engine, parameters, settings.weightDecay, first);
  const evaluator = val ? await Evaluator.open(engine, val, shared) : undefined;
  const steps = runner.steps * settings.epochs;
  const warmUp = Math.max(1, Math.round(WARM_UP * steps));
  const rates = (step: number) => {
    const factor = scheduleFactor(step, steps, warmUp);
    return { side: settings.learningRate * factor, head: settings.headLearningRate * factor };
  };
  const images = train.labels.length;
  let last = history.at(-1);
  try {
    for (let epoch = first.epoch; epoch < settings.epochs; epoch++) {
      const begun = performance.now();
      const loss = await runner.run(
        epoch,
        optimizer,
        rates,
        (done) => listener.onProgress?.(epoch * images + done, settings.epochs * images),
        listener.signal,
      );
      const scores = evaluator ? await evaluator.metrics(optimizer.parameters, listener.signal) : undefined;
      const metrics: EpochMetrics = {
        epoch: epoch + 1,
        loss,
        learningRate: rates((epoch + 1) * runner.steps - 1).side,
        val: scores ? { top1: scores.top1, macro: scores.macro, loss: scores.loss } : null,
        seconds: (performance.now() - begun) / 1000,
        rssBytes: process.memoryUsage.rss(),
      };
      last = metrics;
      const val = scores ? { top1: scores.top1, macro: scores.macro } : null;
      if (!best?.val || !val || val.top1 > best.val.top1) {
        best = { epoch: epoch + 1, val };
        await writeParameters(path('best'), parameters, optimizer.parameters, {
          epoch: String(epoch + 1),
          ...(val ? { top1: String(val.top1), macro: String(val.macro) } : {}),
        });
      }
      await appendMetrics(path('metrics'), metrics);
      await writeCheckpoint(
        path('checkpoint'),
        parameters,
        { epoch: epoch + 1, parameters: optimizer.parameters, mean: optimizer.mean, variance: optimizer.variance },
        { run: config.run },
      );
      listener.onEpoch?.(metrics);
    }
  } finally {
    await runner.close();
    await optimizer.close();
    await evaluator?.close();
  }
  return {
    epochs: settings.epochs,
    loss: last!.loss,
    bestEpoch: best!.epoch,
    val: best!.val,
    test: test ? await testScore(engine, { ...job, test }, shared, listener.signal) : null,
    seconds: (performance.now() - started) / 1000,
    peakRssBytes: process.resourceUsage().maxRSS * 1024,
  };
}

function epochOptions({ config, train, ground }: TrainingJob, shared: EvaluatorOptions): EpochOptions {
  const { settings, microBatch } = config;
  return {
    ...shared,
    batch: settings.batch,
    microBatch: Math.min(microBatch, settings.batch),
    labelSmoothing: settings.labelSmoothing,
    dropPath: settings.dropPath,
    classWeights: classWeights(settings.classWeights, train.labels, ground.classes),
    seed: settings.seed,
  };
}

/** 1 for every class, or images / (classes * images of the class), scikit-learn's "balanced". */
export function classWeights(kind: 'none' | 'balanced', labels: readonly number[], classes: number): Float32Array {
  const weights = new Float32Array(classes).fill(1);
  if (kind === 'none') return weights;
  const counts = new Float64Array(classes);
  for (const label of labels) counts[label]!++;
  return weights.map((_, index) => (counts[index] ? labels.length / (classes * counts[index]) : 0));
}

async function initialCheckpoint(
  engine: Engine,
  job: TrainingJob,
  parameters: ParameterLayout,
  signal: AbortSignal | undefined,
): Promise<Checkpoint> {
  const { config } = job;
  const vector = parameters.initialize(config.settings.seed);
  if (config.settings.warmStart === 'linear') {
    const probe = await linearProbe(engine, job, signal);
    const views = parameters.views(vector);
    for (const [name, values] of Object.entries(probe)) views[name]!.set(values);
  }
  return {
    epoch: 0,
    parameters: vector,
    mean: new Float32Array(parameters.size),
    variance: new Float32Array(parameters.size),
  };
}

async function resumeFrom(
  folder: string,
  parameters: ParameterLayout,
): Promise<{ checkpoint: Checkpoint; best: Best } | undefined> {
  const path = join(folder, runFiles.checkpoint);
  const exists = await access(path).then(
    () => true,
    () => false,
  );
  if (!exists) return undefined;
  const checkpoint = await readCheckpoint(path, parameters);
  const { epoch, top1, macro } = await readCheckpointMetadata(join(folder, runFiles.best));
  return {
    checkpoint,
    best: { epoch: Number(epoch), val: top1 === undefined ? null : { top1: Number(top1), macro: Number(macro) } },
  };
}

async function testScore(
  engine: Engine,
  job: TrainingJob & { test: NonNullable<TrainingJob['test']> },
  shared: EvaluatorOptions,
  signal: AbortSignal | undefined,
): Promise<Score> {
  const evaluator = await Evaluator.open(engine, job.test, shared);
  try {
    const best = await readParameters(join(job.folder, runFiles.best), shared.parameters);
    const { top1, macro } = await evaluator.metrics(best, signal);
    return { top1, macro };
  } finally {
    await evaluator.close();
  }
}

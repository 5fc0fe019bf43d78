import { join } from 'node:path';
import { exists } from '../base/exists.ts';
import { advised, Failure } from '../base/failure.ts';
import { peakRssBytes } from '../base/peak-memory.ts';
import type { Engine } from '../engine/program.ts';
import {
  readCheckpoint,
  readCheckpointMetadata,
  readParameters,
  writeCheckpoint,
  writeParameters,
  type Checkpoint,
} from './checkpoint.ts';
import { DivergedError } from './epoch.ts';
import { Evaluator } from './evaluate-network.ts';
import type { TrainingJob, TrainingOutcome } from './job.ts';
import { linearProbe } from './linear-probe.ts';
import { evaluatorOptions, openTraining, type OpenTraining } from './open-training.ts';
import type { ParameterLayout } from './parameters.ts';
import { appendMetrics, readMetrics, runFiles, writeMetrics, type EpochMetrics, type Score } from './run-folder.ts';

export interface TrainingListener {
  /** Images done, of all epochs. */
  onProgress?: (done: number, total: number) => void;
  onEpoch?: (metrics: EpochMetrics) => void;
  signal?: AbortSignal;
}

/** The epoch whose parameters are kept as the run's best. */
interface Best {
  epoch: number;
  val: Score | null;
}

/** Where a run stands. */
interface Standing {
  checkpoint: Checkpoint;
  best: Best | undefined;
  history: EpochMetrics[];
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
  const { parameters } = evaluatorOptions(job);
  const standing =
    (job.resume ? await standingOf(job, parameters) : undefined) ??
    (await newStanding(engine, job, parameters, listener));
  const before = standing.history.reduce((sum, { seconds }) => sum + seconds, 0);
  // Lines of an epoch whose checkpoint was lost are written again.
  await writeMetrics(fileOf(job, 'metrics'), standing.history);
  const training = await openTraining(engine, job, standing.checkpoint);
  try {
    for (let epoch = standing.checkpoint.epoch; epoch < job.config.settings.epochs; epoch++) {
      const metrics = await trainEpoch(training, job, epoch, listener);
      await keepEpoch(training, job, standing, metrics);
      listener.onEpoch?.(metrics);
    }
  } finally {
    await training.close();
  }
  const { best, history } = standing;
  return {
    epochs: history.length,
    loss: history.at(-1)!.loss,
    bestEpoch: best!.epoch,
    val: best!.val,
    test: await testScore(engine, job, listener.signal),
    seconds: before + (performance.now() - started) / 1000,
    peakRssBytes: Math.max(peakRssBytes(), ...history.map(({ rssBytes }) => rssBytes)),
  };
}

/** One epoch and its look at val. @param epoch from 0 */
async function trainEpoch(
  { runner, optimizer, evaluator, rates }: OpenTraining,
  { config, train }: TrainingJob,
  epoch: number,
  listener: TrainingListener,
): Promise<EpochMetrics> {
  const begun = performance.now();
  const images = train.labels.length;
  const report = (done: number) => listener.onProgress?.(epoch * images + done, config.settings.epochs * images);
  const { loss, top1 } = await runner.run(epoch, optimizer, rates, report, listener.signal);
  const scores = await evaluator?.metrics(optimizer.parameters, listener.signal);
  if (scores && !Number.isFinite(scores.loss)) throw new DivergedError(epoch + 1);
  return {
    epoch: epoch + 1,
    loss,
    top1,
    learningRate: rates((epoch + 1) * runner.steps - 1).side,
    val: scores ? { top1: scores.top1, macro: scores.macro, loss: scores.loss } : null,
    seconds: (performance.now() - begun) / 1000,
    rssBytes: process.memoryUsage.rss(),
  };
}

/** Writes what an epoch gave; the checkpoint last, so that a run cut off before it does the epoch again. */
async function keepEpoch(
  { optimizer, parameters }: OpenTraining,
  job: TrainingJob,
  standing: Standing,
  metrics: EpochMetrics,
): Promise<void> {
  const { epoch } = metrics;
  const val = metrics.val && { top1: metrics.val.top1, macro: metrics.val.macro };
  if (!standing.best?.val || !val || val.top1 > standing.best.val.top1) {
    standing.best = { epoch, val };
    const score: Record<string, string> = val ? { top1: String(val.top1), macro: String(val.macro) } : {};
    await writeParameters(fileOf(job, 'best'), parameters, optimizer.parameters, { epoch: String(epoch), ...score });
  }
  await appendMetrics(fileOf(job, 'metrics'), metrics);
  const { parameters: values, mean, variance } = optimizer;
  await writeCheckpoint(
    fileOf(job, 'checkpoint'),
    parameters,
    { epoch, parameters: values, mean, variance },
    { run: job.config.run },
  );
  standing.history.push(metrics);
}

function fileOf({ folder }: TrainingJob, file: keyof typeof runFiles): string {
  return join(folder, runFiles[file]);
}

async function newStanding(
  engine: Engine,
  job: TrainingJob,
  layout: ParameterLayout,
  listener: TrainingListener,
): Promise<Standing> {
  const { settings } = job.config;
  const parameters = layout.initialize(settings.seed);
  if (settings.warmStart === 'linear') {
    const views = layout.views(parameters);
    const probe = await linearProbe(engine, job, listener.signal);
    for (const [name, values] of Object.entries(probe)) views[name]!.set(values);
  }
  const moments = { mean: new Float32Array(layout.size), variance: new Float32Array(layout.size) };
  return { checkpoint: { epoch: 0, parameters, ...moments }, best: undefined, history: [] };
}

/** Where the run was cut off; undefined before its first checkpoint. @throws Failure `damaged-file` */
async function standingOf(job: TrainingJob, layout: ParameterLayout): Promise<Standing | undefined> {
  const path = fileOf(job, 'checkpoint');
  if (!(await exists(path))) return undefined;
  try {
    const checkpoint = await readCheckpoint(path, layout);
    const { epoch, top1, macro } = await readCheckpointMetadata(fileOf(job, 'best'));
    const val = top1 === undefined ? null : { top1: Number(top1), macro: Number(macro) };
    const metrics = fileOf(job, 'metrics');
    const history = await readMetrics(metrics, checkpoint.epoch);
    if (history.length < checkpoint.epoch)
      throw new Failure('damaged-file', `"${metrics}" is cut short: it lacks epochs that the checkpoint has.`);
    return { checkpoint, best: { epoch: Number(epoch), val }, history };
  } catch (error) {
    throw advised(
      error,
      ['damaged-file', 'missing-file'],
      `delete "${path}", and the run starts over to the same numbers`,
    );
  }
}

/** The best parameters' score on the test split; null when there is none to be read. */
async function testScore(engine: Engine, job: TrainingJob, signal: AbortSignal | undefined): Promise<Score | null> {
  if (!job.test) return null;
  const options = evaluatorOptions(job);
  const evaluator = await Evaluator.open(engine, job.test, options);
  try {
    const best = await readParameters(fileOf(job, 'best'), options.parameters);
    const { top1, macro } = await evaluator.metrics(best, signal);
    return { top1, macro };
  } finally {
    await evaluator.close();
  }
}

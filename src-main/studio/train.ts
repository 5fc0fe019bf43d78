import { Failure } from '../base/failure.ts';
import { inTurn } from '../base/in-turn.ts';
import type { TaskOptions } from '../base/progress.ts';
import { viewsOf } from '../data/views.ts';
import { featureBytesPerImage, keepsBase } from '../features/feature-set.ts';
import { withFeatures } from '../features/with-features.ts';
import { buildNetwork } from '../training/build-network.ts';
import type { Pace, TrainingJob, TrainingOutcome } from '../training/job.ts';
import { frozenFactsOf } from '../training/open-run.ts';
import {
  claimRunId,
  readMetrics,
  readResult,
  runFile,
  writeConfig,
  writeResult,
  type EpochMetrics,
  type RunConfig,
  type RunResult,
} from '../training/run-folder.ts';
import { trainInProcess } from '../training/start-trainer.ts';
import { readTimeSpent, writeTimeSpent, type TimeSpent } from '../training/time-spent.ts';
import { takeLock } from '../workspace/lock.ts';
import { sweepTemporaries } from '../workspace/sweep.ts';
import type { Workspace } from '../workspace/workspace.ts';
import { forecastPlan, type Forecast } from './forecast.ts';
import { finished, planRun } from './plan-run.ts';
import { configOf, jobOf, stepOf } from './run-job.ts';
import { RunLog } from './run-log.ts';
import type { TrainRequest } from './train-request.ts';

export interface TrainOptions extends TaskOptions {
  /** Asks for a forecast, told before anything else begins. */
  onForecast?: (forecast: Forecast) => void;
  /** The run has its id: from here on it can be gone on with. With the epochs that were done before. */
  onStart?: (run: string, before: readonly EpochMetrics[]) => void;
  onEpoch?: (epoch: EpochMetrics, epochs: number) => void;
  onPace?: (pace: Pace) => void;
}

/**
 * The main job: dataset and backbone found or imported, features extracted where the cache lacks them, the run trained
 * in its own process and its result kept. A run to go on with that is done already gives the result that it has.
 * @throws Failure with the sentence for the user; the signal's reason when stopped.
 */
export async function train(
  workspace: Workspace,
  request: TrainRequest,
  options: TrainOptions = {},
): Promise<RunResult> {
  const { resume } = request;
  const done = typeof resume === 'string' ? await readResult(workspace, resume) : null;
  if (done) {
    options.onRemark?.(`Run ${done.run} is done already: this is its result.`);
    return done;
  }
  const log = new RunLog(workspace);
  const onRemark = (sentence: string): void => {
    log.say('remark', sentence);
    options.onRemark?.(sentence);
  };
  try {
    const result = await trainLogged(workspace, request, { ...options, onRemark }, log);
    log.say('phase', `Done: the best of ${result.epochs} epochs is ${result.bestEpoch}.`);
    return result;
  } catch (error) {
    if (error instanceof Failure) log.say('error', error.message);
    else
      log.say('phase', options.signal?.aborted ? 'Stopped; it can be resumed.' : 'Ended by an error of the program.');
    throw error;
  } finally {
    await log.written();
  }
}

async function trainLogged(
  workspace: Workspace,
  request: TrainRequest,
  options: TrainOptions,
  log: RunLog,
): Promise<RunResult> {
  let started = performance.now();
  const plan = await planRun(workspace, request, options);
  if (options.onForecast) options.onForecast(await forecastPlan(workspace, request, plan, { signal: options.signal }));
  const { backbone, dataset, splits, settings, threads } = plan;
  const frozen = frozenFactsOf(backbone, dataset.classes.length);
  const network = buildNetwork(settings, frozen, 'plain');
  const lists = [viewsOf(splits.train, settings.views), splits.val, splits.test];
  const features = {
    backbone,
    source: dataset.source,
    lists,
    maps: network.maps,
    base: keepsBase(backbone, network),
    threads,
    cache: settings.cache,
    scales: plan.old?.scales,
  };
  // Begun before features were found damaged: the same run goes on with whole ones.
  let begun: RunConfig | undefined;
  return withFeatures(workspace, features, options, async ({ sets, seconds, vitPeakRssBytes }) => {
    const going = begun ? { ...plan, old: begun } : plan;
    // The run's own file has what was spent before.
    if (begun) started = performance.now() - seconds * 1000;
    const { old } = going;
    if (seconds > 0) log.say('phase', `Features extracted in ${seconds.toFixed(1)} s.`);
    const step = await stepOf(workspace, request, going, frozen, options);
    const run = old?.run ?? (await claimRunId(workspace, settings.method, dataset.name));
    const config = await configOf(workspace, run, request, going, network, sets[0]!, step);
    begun = config;
    log.begin(run);
    const { stepForm, microBatch, engine, device } = config;
    const how = `${engine} on ${device}, ${threads} threads, ${stepForm} step, micro-batch ${microBatch}`;
    log.say('phase', old ? `Resumed (${how}).` : `Training starts (${how}).`);
    options.signal?.throwIfAborted();
    const before = await readTimeSpent(workspace, config.run);
    const spent = (): TimeSpent => ({
      extract: before.extract + seconds,
      total: before.total + (performance.now() - started) / 1000,
    });
    const job = jobOf(workspace, going, config, frozen, sets);
    return trainLocked(workspace, job, spent, options, (outcome) => ({
      run: config.run,
      method: settings.method,
      dataset: config.dataset,
      backbone: config.backbone,
      parameters: config.parameters,
      headParameters: config.headParameters,
      epochs: outcome.epochs,
      loss: outcome.loss,
      bestEpoch: outcome.bestEpoch,
      val: outcome.val,
      test: outcome.test,
      seconds: { extract: spent().extract, train: outcome.seconds, total: spent().total },
      peakRssBytes: {
        trainer: outcome.peakRssBytes,
        // Without a cache the ViT runs in the trainer.
        vit: settings.cache === 'none' ? outcome.peakRssBytes : vitPeakRssBytes,
      },
      featureBytesPerImage: featureBytesPerImage(network.maps.length, sets[0]!),
      engine: config.engine,
      device: config.device,
      settings,
    }));
  });
}

/** Trains and keeps the result while holding the run's lock, so that nobody else goes on with it meanwhile. */
async function trainLocked(
  workspace: Workspace,
  job: TrainingJob,
  spent: () => TimeSpent,
  options: TrainOptions,
  resultOf: (outcome: TrainingOutcome) => RunResult,
): Promise<RunResult> {
  const { run, settings } = job.config;
  const release = await takeLock(runFile(workspace, run, 'lock'));
  if (!release) throw busy(run);
  const afterEachOther = inTurn();
  // Only told for information: a run does not end for it.
  const keepTime = () => afterEachOther(() => writeTimeSpent(workspace, run, spent())).catch(() => undefined);
  try {
    // Another process may have finished it since this one looked.
    if (await readResult(workspace, run)) throw finished(run);
    await sweepTemporaries(workspace.run(run));
    await writeConfig(workspace, job.config);
    // Lines that cannot be read are the trainer's to refuse.
    const before = job.resume ? await readMetrics(runFile(workspace, run, 'metrics')).catch(() => []) : [];
    options.onStart?.(run, before);
    const outcome = await trainInProcess(job, {
      onPace: (pace) => {
        options.onProgress?.({ task: 'train', done: pace.done, total: pace.total, unit: 'images' });
        options.onPace?.(pace);
      },
      onEpoch: (metrics) => {
        void keepTime();
        options.onEpoch?.(metrics, settings.epochs);
      },
      signal: options.signal,
    });
    const result = resultOf(outcome);
    await writeResult(workspace, result);
    return result;
  } finally {
    await keepTime();
    await release();
  }
}

function busy(run: string): Failure {
  return new Failure('busy', `Run ${run} is being trained by another process: wait for it, or start a new run.`);
}

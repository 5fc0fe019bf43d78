import { createHash } from 'node:crypto';
import { availableParallelism } from 'node:os';
import { isDeepStrictEqual } from 'node:util';
import { peakRssBytes } from '../base/peak-memory.ts';
import { Failure } from '../base/failure.ts';
import type { TaskOptions } from '../base/progress.ts';
import type { Backbone } from '../backbone/catalogue.ts';
import { mapName } from '../backbone/surgery.ts';
import { contentHash, type Dataset, type DatasetImage } from '../data/dataset.ts';
import { extractFeatures } from '../features/extract.ts';
import { featureBytesPerImage, type FeatureSet } from '../features/feature-set.ts';
import type { Network } from '../methods/network.ts';
import { buildNetwork, type FrozenFacts } from '../training/build-network.ts';
import type { Pace, TrainingJob, TrainingOutcome } from '../training/job.ts';
import { frozenFactsOf } from '../training/open-run.ts';
import { ParameterLayout } from '../training/parameters.ts';
import {
  claimRunId,
  readConfig,
  readResult,
  runFile,
  writeConfig,
  writeResult,
  type EpochMetrics,
  type RunConfig,
  type RunResult,
} from '../training/run-folder.ts';
import { completeSettings, type Settings } from '../training/settings.ts';
import { splitImages, type SplitImages } from '../training/split-images.ts';
import { chooseStep, type StepChoice } from '../training/step-choice.ts';
import { trainInProcess } from '../training/start-trainer.ts';
import { takeLock } from '../workspace/lock.ts';
import { sweepTemporaries } from '../workspace/sweep.ts';
import type { Workspace } from '../workspace/workspace.ts';
import { resolveBackbone } from './backbones.ts';
import { resolveDataset } from './datasets.ts';
import { checkAgainstRun, unfinishedRuns } from './resume.ts';
import type { TrainRequest } from './train-request.ts';

export interface TrainOptions extends TaskOptions {
  /** The run has its id: from here on it can be gone on with. */
  onStart?: (run: string) => void;
  onEpoch?: (epoch: EpochMetrics, epochs: number) => void;
  onPace?: (pace: Pace) => void;
}

/** A run about to start, or about to go on. */
interface Plan {
  dataset: Dataset;
  backbone: Backbone;
  settings: Settings;
  splits: SplitImages;
  threads: number;
  /** The run that goes on; undefined for a new one. */
  old: RunConfig | undefined;
}

/**
 * The main job: dataset and backbone found or imported, features extracted where the cache lacks them, the run trained
 * in its own process and its result kept.
 * @throws Failure with the sentence for the user; the signal's reason when stopped.
 */
export async function train(
  workspace: Workspace,
  request: TrainRequest,
  options: TrainOptions = {},
): Promise<RunResult> {
  const started = performance.now();
  const plan = await planRun(workspace, request, options);
  const { backbone, dataset, splits, threads } = plan;
  const frozen = frozenFactsOf(backbone, dataset.classes.length);
  const network = buildNetwork(plan.settings, frozen, 'plain');
  const lists = [splits.train, splits.val, splits.test];
  const extraction = await extractFeatures(
    workspace,
    { backbone, source: dataset.source, lists, maps: network.maps, storage: plan.settings.cache, threads },
    options,
  );
  const vit = extraction.seconds > 0 ? peakRssBytes() : null;
  const step = await stepOf(workspace, request, plan, frozen, options);
  const config = await configOf(workspace, request, plan, network, extraction.sets[0]!, step);
  options.signal?.throwIfAborted();
  const job = jobOf(workspace, plan, config, frozen, extraction.sets);
  return trainLocked(workspace, job, options, (outcome) => ({
    run: config.run,
    method: config.settings.method,
    dataset: config.dataset,
    backbone: config.backbone,
    parameters: config.parameters,
    headParameters: config.headParameters,
    epochs: outcome.epochs,
    loss: outcome.loss,
    bestEpoch: outcome.bestEpoch,
    val: outcome.val,
    test: outcome.test,
    seconds: { extract: extraction.seconds, train: outcome.seconds, total: (performance.now() - started) / 1000 },
    peakRssBytes: { trainer: outcome.peakRssBytes, vit },
    featureBytesPerImage: featureBytesPerImage(network.maps.length, extraction.sets[0]!),
    engine: config.engine,
    device: config.device,
    settings: config.settings,
  }));
}

async function planRun(workspace: Workspace, request: TrainRequest, options: TrainOptions): Promise<Plan> {
  const dataset = await resolveDataset(workspace, request.dataset, options);
  if (dataset.classes.length < 2)
    throw new Failure(
      'dataset',
      `Dataset ${dataset.name} has one class only, so there is nothing to tell apart: add images of another.`,
    );
  const backbone = await resolveBackbone(workspace, request.backbone);
  const { blocks, prefix } = backbone.structure;
  const asked = completeSettings(request.settings, { name: backbone.name, blocks, prefix });
  const old = request.resume ? await runToResume(workspace, request, asked, dataset, backbone) : undefined;
  const settings = old?.settings ?? asked;
  const splits = splitImages(dataset, settings, request.noTest ?? old?.noTest ?? false);
  if (old) checkAgainstRun(old, request);
  if (old) checkSameData(old, dataset, backbone, splits);
  const threads = old?.threads ?? request.threads ?? availableParallelism();
  return { dataset, backbone, settings, splits, threads, old };
}

function jobOf(
  workspace: Workspace,
  { splits, old }: Plan,
  config: RunConfig,
  frozen: FrozenFacts,
  sets: readonly FeatureSet[],
): TrainingJob {
  const labelled = (images: readonly DatasetImage[], features: FeatureSet) => ({
    features,
    labels: images.map(({ label }) => label),
  });
  return {
    config,
    folder: workspace.run(config.run),
    frozen,
    train: labelled(splits.train, sets[0]!),
    val: splits.val.length > 0 ? labelled(splits.val, sets[1]!) : null,
    test: splits.test.length > 0 ? labelled(splits.test, sets[2]!) : null,
    resume: old !== undefined,
  };
}

/** Trains and keeps the result while holding the run's lock, so that nobody else goes on with it meanwhile. */
async function trainLocked(
  workspace: Workspace,
  job: TrainingJob,
  options: TrainOptions,
  resultOf: (outcome: TrainingOutcome) => RunResult,
): Promise<RunResult> {
  const { run, settings } = job.config;
  const release = await takeLock(runFile(workspace, run, 'lock'));
  if (!release) throw busy(run);
  try {
    // Another process may have finished it since this one looked.
    if (await readResult(workspace, run)) throw finished(run);
    await sweepTemporaries(workspace.run(run));
    await writeConfig(workspace, job.config);
    options.onStart?.(run);
    const outcome = await trainInProcess(job, {
      onPace: (pace) => {
        options.onProgress?.({ task: 'train', done: pace.done, total: pace.total, unit: 'images' });
        options.onPace?.(pace);
      },
      onEpoch: (metrics) => options.onEpoch?.(metrics, settings.epochs),
      signal: options.signal,
    });
    const result = resultOf(outcome);
    await writeResult(workspace, result);
    return result;
  } finally {
    await release();
  }
}

function finished(run: string): Failure {
  return new Failure('finished', `Run ${run} is finished: "sidetune runs show ${run}" shows its result.`);
}

function busy(run: string): Failure {
  return new Failure('busy', `Run ${run} is being trained by another process: wait for it, or start a new run.`);
}

/** A run that goes on keeps its step, unless it is told another form. */
function stepOf(
  workspace: Workspace,
  { stepForm, engine }: TrainRequest,
  { settings, splits, threads, old }: Plan,
  frozen: FrozenFacts,
  options: TaskOptions,
): Promise<StepChoice> | StepChoice {
  if (old) return { stepForm: stepForm ?? old.stepForm, microBatch: old.microBatch };
  const question = { settings, frozen, threads, engine: engine ?? 'compiled' };
  return chooseStep(workspace, question, splits.train.length, stepForm, options);
}

/** The config of a new run, or that of the one that goes on, brought up to date. */
async function configOf(
  workspace: Workspace,
  request: TrainRequest,
  plan: Plan,
  network: Network,
  trainSet: FeatureSet,
  step: StepChoice,
): Promise<RunConfig> {
  const { settings, dataset, backbone, splits, threads, old } = plan;
  if (old) return { ...old, ...step, noTest: request.noTest ?? old.noTest };
  const layout = new ParameterLayout(network.parameters);
  return {
    version: 1,
    run: await claimRunId(workspace, settings.method, dataset.name),
    created: new Date().toISOString(),
    dataset: dataset.name,
    backbone: backbone.name,
    backboneSha256: backbone.sha256,
    data: hashesOf(splits),
    classes: dataset.classes,
    parameters: layout.count('side'),
    headParameters: layout.count('head'),
    settings,
    noTest: request.noTest ?? false,
    engine: request.engine ?? 'compiled',
    device: request.device ?? 'cpu',
    threads,
    ...step,
    scales: network.maps.map((map) => trainSet.maps[mapName(map)]!.scale),
  };
}

/** Of each split's contents and labels, in order. */
function hashesOf(splits: SplitImages): RunConfig['data'] {
  const hash = (images: readonly DatasetImage[]) =>
    createHash('sha256')
      .update(`${contentHash(images)} ${images.map(({ label }) => label).join(' ')}`)
      .digest('hex');
  return { train: hash(splits.train), val: hash(splits.val), test: hash(splits.test) };
}

/** @throws Failure `dataset-changed` or `backbone-changed` when a run would go on with other data than it began with. */
function checkSameData(config: RunConfig, dataset: Dataset, backbone: Backbone, splits: SplitImages): void {
  const { run } = config;
  if (config.backboneSha256 !== backbone.sha256)
    throw new Failure(
      'backbone-changed',
      `Backbone ${backbone.name} is not the one that run ${run} began with: start a new run, or put the old file back.`,
    );
  const now = hashesOf(splits);
  const changed = (['train', 'val'] as const).filter((split) => now[split] !== config.data[split]);
  if (JSON.stringify(dataset.classes) !== JSON.stringify(config.classes) || changed.length > 0)
    throw new Failure(
      'dataset-changed',
      `The images or classes of dataset ${dataset.name} have changed since run ${run} began: start a new run.`,
    );
}

async function runToResume(
  workspace: Workspace,
  { resume }: TrainRequest,
  settings: Settings,
  dataset: Dataset,
  backbone: Backbone,
): Promise<RunConfig> {
  if (typeof resume === 'string') {
    const config = await readConfig(workspace, resume);
    if (config.dataset !== dataset.name || config.backbone !== backbone.name)
      throw new Failure(
        'usage',
        `Run ${resume} was of dataset ${config.dataset} and backbone ${config.backbone}, not of ${dataset.name} and ${backbone.name}.`,
      );
    if (await readResult(workspace, resume)) throw finished(resume);
    return config;
  }
  const newest = (await unfinishedRuns(workspace)).findLast(
    (config) =>
      config.dataset === dataset.name &&
      config.backboneSha256 === backbone.sha256 &&
      isDeepStrictEqual(config.settings, settings),
  );
  if (newest) return newest;
  throw new Failure(
    'nothing-to-resume',
    'There is no unfinished run with these settings: leave out --resume to start one.',
  );
}

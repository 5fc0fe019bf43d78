import { availableParallelism } from 'node:os';
import { Failure } from '../base/failure.ts';
import type { TaskOptions } from '../base/progress.ts';
import type { Backbone } from '../backbone/catalogue.ts';
import { mapName } from '../backbone/surgery.ts';
import { imagesOf, type Dataset, type DatasetImage } from '../data/dataset.ts';
import { stratifiedSubset } from '../data/limit.ts';
import { extractFeatures } from '../features/extract.ts';
import { featureBytesPerImage, type FeatureSet } from '../features/feature-set.ts';
import type { StepForm } from '../methods/network.ts';
import { buildNetwork } from '../training/build-network.ts';
import type { LabelledFeatures } from '../training/evaluate-network.ts';
import { defaultMicroBatch } from '../training/micro-batch.ts';
import { groundOf } from '../training/open-run.ts';
import { ParameterLayout } from '../training/parameters.ts';
import {
  listRuns,
  claimRunId,
  readConfig,
  readResult,
  writeConfig,
  writeResult,
  type EpochMetrics,
  type RunConfig,
  type RunResult,
} from '../training/run-folder.ts';
import { completeSettings, type Settings, type SettingsChoice } from '../training/settings.ts';
import { trainInProcess } from '../training/start-trainer.ts';
import type { Workspace } from '../workspace/workspace.ts';
import { resolveBackbone } from './backbones.ts';
import { resolveDataset } from './datasets.ts';

export interface TrainRequest {
  /** Name in the workspace, or path. */
  dataset: string;
  backbone: string;
  settings: SettingsChoice;
  /** Leaves the test split unread. */
  noTest?: boolean;
  stepForm?: StepForm;
  engine?: 'compiled' | 'eager';
  device?: 'cpu';
  /** onnxruntime's threads; all cores when left out. */
  threads?: number;
  /** A run's id, or `true` for the newest unfinished one with the same settings. */
  resume?: true | string;
}

export type TrainOptions = TaskOptions & { onEpoch?: (epoch: EpochMetrics, epochs: number) => void };

interface Splits {
  train: DatasetImage[];
  val: DatasetImage[];
  test: DatasetImage[];
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
  const dataset = await resolveDataset(workspace, request.dataset, options);
  const backbone = await resolveBackbone(workspace, request.backbone);
  const { blocks, prefix } = backbone.structure;
  const settings = completeSettings(request.settings, { name: backbone.name, blocks, prefix });
  const old = request.resume ? await runToResume(workspace, request, settings, dataset, backbone) : undefined;
  const splits = splitsOf(dataset, old?.settings ?? settings, old?.noTest ?? request.noTest ?? false);

  const ground = groundOf(backbone, dataset.classes.length);
  const network = buildNetwork(old?.settings ?? settings, ground, old?.stepForm ?? request.stepForm ?? 'plain');
  const lists = [splits.train, splits.val, splits.test];
  const extraction = await extractFeatures(
    workspace,
    { backbone, source: dataset.source, lists, maps: network.maps, threads: request.threads },
    options,
  );
  const [trainSet, valSet, testSet] = extraction.sets as [FeatureSet, FeatureSet, FeatureSet];
  const labelled = (features: FeatureSet, images: readonly DatasetImage[]): LabelledFeatures => ({
    features,
    labels: images.map(({ label }) => label),
  });

  const config = old ?? (await newConfig(workspace, request, { settings, dataset, backbone, trainSet }));
  options.signal?.throwIfAborted();
  const outcome = await trainInProcess(
    {
      config,
      folder: workspace.run(config.run),
      ground,
      train: labelled(trainSet, splits.train),
      val: splits.val.length > 0 ? labelled(valSet, splits.val) : null,
      test: splits.test.length > 0 ? labelled(testSet, splits.test) : null,
      resume: old !== undefined,
    },
    {
      onProgress: (done, total) => options.onProgress?.({ task: 'train', done, total, unit: 'images' }),
      onEpoch: (metrics) => options.onEpoch?.(metrics, config.settings.epochs),
      signal: options.signal,
    },
  );
  const { tokens, width } = ground.layout;
  const result: RunResult = {
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
    peakRssBytes: {
      trainer: outcome.peakRssBytes,
      vit: extraction.seconds > 0 ? process.resourceUsage().maxRSS * 1024 : null,
    },
    featureBytesPerImage: featureBytesPerImage(network.maps.length, tokens, width),
    engine: config.engine,
    device: config.device,
    settings: config.settings,
  };
  await writeResult(workspace, result);
  return result;
}

function splitsOf(dataset: Dataset, { limit, seed }: Settings, noTest: boolean): Splits {
  const all = imagesOf(dataset, 'train');
  if (all.length === 0) throw new Failure('dataset', `Dataset ${dataset.name} has no training images.`);
  return {
    train: limit === null ? all : stratifiedSubset(all, limit, seed),
    val: imagesOf(dataset, 'val'),
    test: noTest ? [] : imagesOf(dataset, 'test'),
  };
}

interface NewRun {
  settings: Settings;
  dataset: Dataset;
  backbone: Backbone;
  trainSet: FeatureSet;
}

async function newConfig(
  workspace: Workspace,
  request: TrainRequest,
  { settings, dataset, backbone, trainSet }: NewRun,
): Promise<RunConfig> {
  const stepForm = request.stepForm ?? 'plain';
  const ground = groundOf(backbone, dataset.classes.length);
  const network = buildNetwork(settings, ground, stepForm);
  const layout = new ParameterLayout(network.parameters);
  const threads = request.threads ?? availableParallelism();
  const config: RunConfig = {
    version: 1,
    run: await claimRunId(workspace, settings.method, dataset.name),
    created: new Date().toISOString(),
    dataset: dataset.name,
    backbone: backbone.name,
    backboneSha256: backbone.sha256,
    classes: dataset.classes,
    parameters: layout.count('side'),
    headParameters: layout.count('head'),
    settings,
    noTest: request.noTest ?? false,
    engine: request.engine ?? 'compiled',
    device: request.device ?? 'cpu',
    threads,
    stepForm,
    microBatch: defaultMicroBatch(ground.layout, network.maps.length, settings.batch, threads),
    scales: network.maps.map((map) => trainSet.maps[mapName(map)]!.scale),
  };
  await writeConfig(workspace, config);
  return config;
}

async function runToResume(
  workspace: Workspace,
  { resume, noTest = false }: TrainRequest,
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
    if (await readResult(workspace, resume))
      throw new Failure('finished', `Run ${resume} is finished: "sidetune runs show ${resume}" shows its result.`);
    return config;
  }
  const wanted = JSON.stringify({ settings, noTest, dataset: dataset.name, sha256: backbone.sha256 });
  for (const config of (await listRuns(workspace)).reverse()) {
    const same =
      JSON.stringify({
        settings: config.settings,
        noTest: config.noTest,
        dataset: config.dataset,
        sha256: config.backboneSha256,
      }) === wanted;
    if (same && !(await readResult(workspace, config.run))) return config;
  }
  throw new Failure(
    'nothing-to-resume',
    'There is no unfinished run with these settings: leave out --resume to start one.',
  );
}

import { freemem } from 'node:os';
import { Failure } from '../base/failure.ts';
import type { TaskOptions } from '../base/progress.ts';
import type { DatasetImage } from '../data/dataset.ts';
import { viewsOf } from '../data/views.ts';
import { checkSpace } from '../features/disk-space.ts';
import { missingFeatures, type ExtractionRequest } from '../features/extract.ts';
import { featureBytesPerImage, keepsBase, roundingOf, type FeatureSet } from '../features/feature-set.ts';
import { provideFeatures } from '../features/provide-features.ts';
import { buildNetwork } from '../training/build-network.ts';
import { frozenFactsOf } from '../training/open-run.ts';
import { readMetrics, runFile } from '../training/run-folder.ts';
import { freeSpace } from '../workspace/free-space.ts';
import type { Workspace } from '../workspace/workspace.ts';
import { planRun, type RunPlan } from './plan-run.ts';
import { rehearseExtraction, rehearseTraining, type ExtractionPace, type TrainingPace } from './rehearsal.ts';
import { configOf, jobOf, stepOf } from './run-job.ts';
import type { TrainRequest } from './train-request.ts';

/** What a training will take, bytes and seconds; plain data. */
export interface Forecast {
  images: { train: number; val: number; test: number };
  /** Still to be done. */
  epochs: number;
  features: {
    /** Of one view of it; 0 without a cache. */
    bytesPerImage: number;
    totalBytes: number;
    /** Of the total: what is in the workspace already. */
    cachedBytes: number;
    /** Of the rest: what is only copied from other lists with the same images, which takes next to no time. */
    copiedBytes: number;
    /** Null where the system does not say. */
    freeBytes: number | null;
  };
  /** Peaks; `vit` is null when nothing is to be extracted. All are null for a training too short to be rehearsed. */
  memory: { trainerBytes: number | null; vitBytes: number | null; availableBytes: number };
  seconds: { extract: number; train: number; total: number } | null;
  /** Sentences: what there is too little of. */
  warnings: string[];
}

/** Training images of a rehearsal. */
const FEW = 16;
const MANY = 32;
/** Products in the ViT for an image, beyond which a few images have to do. */
const MANY_PRODUCTS = 1e10;
/** Of work in products of forward passes, a core's worth of half a minute: less is not worth a rehearsal. */
const SHORT_PRODUCTS = 3e11;
/** Share of an image's training time that it takes to be evaluated: one pass of three. */
const EVALUATION = 1 / 3;
/** Epochs of the linear probe that a warm start begins with, and seconds that it spends on an image in each. */
const WARM_START = { epochs: 100, secondsPerImage: 3e-5 };

/**
 * What the training that is asked for will take on this machine, without starting it: disk by what the cache lacks,
 * memory and time by a rehearsal of some images. Dataset and backbone are taken into the workspace where they are not
 * there yet. Within about a third of what then happens, as long as the machine stays as busy as it is.
 * @throws Failure as `planRun`; the signal's reason
 */
export async function forecastTraining(
  workspace: Workspace,
  request: TrainRequest,
  options: TaskOptions = {},
): Promise<Forecast> {
  const plan = await planRun(workspace, request, options);
  return forecastPlan(workspace, request, plan, { ...options, rehearseAll: true });
}

/**
 * @param options.rehearseAll whether even a training that is over in no time is rehearsed
 * @throws Failure `disk-full` unless `rehearseAll`, which leaves it at a warning
 */
export async function forecastPlan(
  workspace: Workspace,
  request: TrainRequest,
  plan: RunPlan,
  { signal, rehearseAll = false }: Pick<TaskOptions, 'signal'> & { rehearseAll?: boolean },
): Promise<Forecast> {
  const { backbone, dataset, splits, settings, threads, old } = plan;
  const { tokens, width, prefix } = backbone.structure;
  const network = buildNetwork(settings, frozenFactsOf(backbone, dataset.classes.length), 'plain');
  const { maps } = network;
  const lists = [viewsOf(splits.train, settings.views), splits.val, splits.test];
  const extraction: ExtractionRequest = {
    backbone,
    source: dataset.source,
    maps,
    base: keepsBase(backbone, network),
    lists,
    threads,
    storage: roundingOf(settings.cache),
  };
  const live = settings.cache === 'none';
  const missing = live ? { lists: [], images: 0, bytes: 0, copied: 0 } : await missingFeatures(workspace, extraction);
  const warnings: string[] = [];
  await checkSpace(workspace.features, missing.bytes).catch((error: unknown) => {
    if (!rehearseAll || !(error instanceof Failure)) throw error;
    warnings.push(error.message);
  });
  const images = { train: splits.train.length, val: splits.val.length, test: splits.test.length };
  const all = images.train + images.val + images.test;
  const rows = lists.reduce((sum, list) => sum + list.length, 0);
  const storage = settings.cache;
  const bytesPerImage = featureBytesPerImage(maps.length, { tokens, width, storage, hasCls: prefix > 0 });
  const freeBytes = await freeSpace(workspace.features);
  const done = old ? (await readMetrics(runFile(workspace, old.run, 'metrics'))).length : 0;
  const forecast: Forecast = {
    images,
    epochs: settings.epochs - done,
    features: {
      bytesPerImage,
      totalBytes: bytesPerImage * rows,
      cachedBytes: Math.max(0, bytesPerImage * rows - missing.bytes),
      copiedBytes: missing.copied,
      freeBytes: Number.isFinite(freeBytes) ? freeBytes : null,
    },
    memory: { trainerBytes: null, vitBytes: null, availableBytes: availableMemory() },
    seconds: null,
    warnings,
  };
  if (!rehearseAll && isShort(plan, forecast, maps.length, live ? all * forecast.epochs : missing.images))
    return forecast;
  const { extract, train } = await rehearse(workspace, request, plan, { extraction, missing: missing.lists, signal });
  if (!train) return forecast;

  const extractSeconds =
    extract && missing.images > 0 ? extract.openSeconds + missing.images * extract.secondsPerImage : 0;
  const warmStart = settings.warmStart === 'linear' ? images.train * WARM_START.epochs * WARM_START.secondsPerImage : 0;
  const trainSeconds =
    train.openSeconds +
    warmStart +
    forecast.epochs * (images.train * train.secondsPerImage + train.secondsPerEpoch) +
    images.test * train.secondsPerImage * (live ? 1 : EVALUATION);
  forecast.seconds = {
    extract: extractSeconds,
    train: trainSeconds,
    total: extractSeconds + train.startSeconds + trainSeconds,
  };
  forecast.memory.trainerBytes = train.peakRssBytes;
  const vit = missing.images > 0 ? extract?.peakRssBytes : undefined;
  forecast.memory.vitBytes = live ? train.peakRssBytes : (vit ?? null);
  warnings.push(...memoryWarnings(forecast.memory));
  return forecast;
}

/** A part of extraction and training. A rehearsal that comes to grief leaves it to the training to say why. */
async function rehearse(
  workspace: Workspace,
  request: TrainRequest,
  plan: RunPlan,
  {
    extraction,
    missing,
    signal,
  }: { extraction: ExtractionRequest; missing: readonly (readonly DatasetImage[])[]; signal: AbortSignal | undefined },
): Promise<{ extract?: ExtractionPace; train?: TrainingPace }> {
  const { backbone } = plan;
  const [trained] = extraction.lists;
  // Nothing is fetched to be thrown away.
  if (backbone.served && missing.length > 0) return {};
  const train = async (set: FeatureSet, images: readonly DatasetImage[]) =>
    rehearseTraining(workspace, await rehearsalJob(workspace, request, plan, set, images, signal), { signal });
  const trainOnOwn = async () => {
    const { cache } = plan.settings;
    const few = evenly(trained!, sampleSize(plan));
    // Without a cache some images will do; in it lie the features of the whole list.
    const list = cache === 'none' ? few : trained!;
    const { threads } = plan;
    const { sets } = await provideFeatures(workspace, { ...extraction, lists: [list], cache, threads }, { signal });
    return train(sets[0]!, cache === 'none' ? few : trained!.slice(0, few.length));
  };
  try {
    const [first] = missing;
    if (!first) return { train: await trainOnOwn() };
    const few = evenly(first, sampleSize(plan));
    return await rehearseExtraction(workspace, extraction, few, { signal }, async (set, extract) => ({
      extract,
      train: first === trained ? await train(set, few) : await trainOnOwn(),
    }));
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof Failure) return {};
    throw error;
  }
}

async function rehearsalJob(
  workspace: Workspace,
  request: TrainRequest,
  plan: RunPlan,
  set: FeatureSet,
  images: readonly DatasetImage[],
  signal: AbortSignal | undefined,
) {
  const { backbone, dataset, settings, splits } = plan;
  const frozen = frozenFactsOf(backbone, dataset.classes.length);
  const step = await stepOf(workspace, request, plan, frozen, { signal });
  const config = await configOf(
    workspace,
    'rehearsal',
    request,
    plan,
    buildNetwork(settings, frozen, 'plain'),
    set,
    step,
  );
  const share = Math.ceil((images.length * splits.val.length) / splits.train.length);
  const few = { train: [...images], val: images.slice(0, share), test: [] };
  // Its images are few of what an epoch may see, in whatever view.
  const alone = { ...config, run: 'rehearsal', settings: { ...config.settings, views: 1 } };
  return jobOf(workspace, { ...plan, splits: few, old: undefined }, alone, frozen, [set, set]);
}

function sampleSize({ backbone }: RunPlan): number {
  return productsOf(backbone) > MANY_PRODUCTS ? FEW : MANY;
}

/** Multiplications of a ViT's forward pass for one image, attention's own aside. */
function productsOf({ structure: { tokens, width, blocks } }: RunPlan['backbone']): number {
  return 12 * blocks * tokens * width ** 2;
}

function isShort({ backbone, settings }: RunPlan, { images, epochs }: Forecast, maps: number, vitImages: number) {
  const { tokens, width } = backbone.structure;
  // Forward and backward of modules whose projections are four times the rank wide.
  const training = 12 * maps * (settings.depth ?? 1) * (settings.rank ?? 1) * tokens * width;
  return vitImages * productsOf(backbone) + epochs * images.train * training < SHORT_PRODUCTS;
}

function evenly<T>(items: readonly T[], count: number): T[] {
  if (count >= items.length) return [...items];
  return Array.from({ length: count }, (_, index) => items[Math.floor((index * items.length) / count)]!);
}

/** Bytes that this process and those that it starts may still take. */
function availableMemory(): number {
  return typeof process.availableMemory === 'function' ? process.availableMemory() : freemem();
}

/** The ViT is done before the trainer starts, but its memory is not given back. */
function memoryWarnings({ trainerBytes, vitBytes, availableBytes }: Forecast['memory']): string[] {
  const needed = trainerBytes ?? 0;
  if (needed <= availableBytes) return [];
  const gigabytes = (bytes: number) => `${(bytes / 1e9).toFixed(1)} GB`;
  return [
    `Training will need about ${gigabytes(needed)} of memory${vitBytes === null ? '' : ` beside the ${gigabytes(vitBytes)} of the ViT`}, and ${gigabytes(availableBytes)} are free: close other programs, or use a smaller --batch.`,
  ];
}

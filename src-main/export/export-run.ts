import { stat } from 'node:fs/promises';
import { readModel } from '../backbone/catalogue.ts';
import { mapName } from '../backbone/surgery.ts';
import { Failure } from '../base/failure.ts';
import type { TaskOptions } from '../base/progress.ts';
import { locate, type DatasetImage } from '../data/dataset.ts';
import { pathOfImage } from '../data/image-reference.ts';
import { CompiledEngine } from '../engine/compiled.ts';
import { encodeModel } from '../engine/onnx/model.ts';
import { keepsBase, roundingOf, type FeatureSet } from '../features/feature-set.ts';
import type { FeatureRequest } from '../features/provide-features.ts';
import { withFeatures } from '../features/with-features.ts';
import { readCheckpointMetadata } from '../training/checkpoint.ts';
import { Evaluator } from '../training/evaluate-network.ts';
import { openRun, type OpenedRun } from '../training/open-run.ts';
import { datasetOfRun } from '../training/run-dataset.ts';
import { readMetrics, readResult, runFile } from '../training/run-folder.ts';
import { splitImages } from '../training/split-images.ts';
import type { Workspace } from '../workspace/workspace.ts';
import { adaptorModel } from './adaptor.ts';
import type { Card, Form, FormParity, Parities } from './card-facts.ts';
import { cardMetadata } from './card.ts';
import { fileOf, FORMS, prepareFolder, writeExport, type EncodedModels } from './files.ts';
import { mergedModel } from './merged.ts';
import { withHalfWeights } from './half-weights.ts';
import { compareLogits, toleranceOf, type Parity } from './parity.ts';
import { runAdaptor, runMerged } from './run-exported.ts';
import { evenly, withSampledFeatures } from './sampled-features.ts';

export interface ExportRequest {
  run: string;
  /** Folder to write to; made where it is missing. */
  out: string;
  /** Both when left out. */
  form?: Form;
  /** Keeps weights as float16: files half as large, and a tolerance of their own. */
  half?: boolean;
  /** Whether it may take the place of another run's export. */
  force?: boolean;
  /** Images to compare the exported models with the app on, at most. */
  images?: number;
}

export interface ExportResult {
  run: string;
  /** Absolute paths. */
  files: string[];
  /** Sizes of the files, in bytes and in their order. */
  bytes: number[];
  /** That of the merged model where there is one, else of the adaptor; and each by its form. */
  parity: FormParity & Parities;
}

const PARITY_IMAGES = 64;
/** Images in a batch of the app's own predictions. */
const BATCH = 8;

/** A run with everything that an export of it is made from. */
interface ExportSource extends OpenedRun {
  /** Folder that the images' paths are relative to. */
  folder: string;
  /** What is compared on, and its features. */
  images: readonly DatasetImage[];
  features: FeatureSet;
  scales: readonly number[];
  half: boolean;
}

/**
 * Exports a run's best parameters as ONNX models, after both have been run beside the app's own predictions on up to
 * `images` images, taken at even steps from val, else from train: lists are often sorted by class. Nothing is written
 * unless they agree.
 * @throws Failure `bad-out`, `other-export`, `no-dataset`, `export-parity`, and those of `openRun`, `mergedModel` and `provideFeatures`.
 */
export async function exportRun(
  workspace: Workspace,
  { run: named, out, form, half = false, force, images = PARITY_IMAGES }: ExportRequest,
  options: TaskOptions = {},
): Promise<ExportResult> {
  const opened = await openRun(workspace, named);
  // What is on a server cannot be put into a file here.
  const forms = form ? [form] : opened.backbone.served ? (['adaptor'] as const) : FORMS;
  const { run } = opened.config;
  // Early: a folder that cannot be written to should not cost the user the wait.
  await prepareFolder(out, forms, { run, force });
  const { list, request } = await featuresOf(workspace, opened);
  const rows = evenly(list.length, images);
  const { models, parities, card } = await withFeatures(workspace, request, options, async ({ sets }) => {
    const set = sets[0]!;
    const scales = scalesOf(opened, set);
    const whole = { ...opened, folder: request.source, images: list, features: set, scales, half };
    const card = await cardOf(workspace, whole);
    const sample = { set, maps: opened.network.maps, rows };
    const checked = await withSampledFeatures(workspace, sample, (features) =>
      encodeChecked(forms, { ...whole, features, images: rows.map((row) => list[row]!) }, card, options),
    );
    return { ...checked, card };
  });
  const files = await writeExport(out, models, card, parities, force);
  const bytes = (await Promise.all(files.map((file) => stat(file)))).map(({ size }) => size);
  return { run, files, bytes, parity: { ...(parities.merged ?? parities.adaptor)!, ...parities } };
}

/** The models of an export, each of which gives the app's predictions. @throws Failure `export-parity` */
async function encodeChecked(
  forms: readonly Form[],
  source: ExportSource,
  card: Card,
  options: TaskOptions,
): Promise<{ models: EncodedModels; parities: Parities }> {
  const { run, classes } = source.config;
  const models: EncodedModels = {};
  const parities: Parities = {};
  const expected = await predictInApp(source, options);
  for (const form of forms) {
    options.signal?.throwIfAborted();
    const model = await encode(form, source, cardMetadata(card, form));
    const logits = await runExported(form, model, source, options);
    const parity = compareLogits(expected, logits, classes.length, toleranceOf(form, source.half));
    if (!parity.holds) throw disagreement(form, run, parity, source.half);
    models[form] = model;
    parities[form] = named(parity, source);
  }
  return { models, parities };
}

/** All images of val, else of train, and the request for their features. */
async function featuresOf(
  workspace: Workspace,
  { config, backbone, network }: OpenedRun,
): Promise<{ list: DatasetImage[]; request: FeatureRequest }> {
  const dataset = await datasetOfRun(workspace, config);
  // Whole lists as they were trained with, because under those their features are cached.
  const { train, val } = splitImages(dataset, config.settings, { noTest: true, trainOn: config.trainOn });
  const list = val.length > 0 ? val : train;
  const kept = { cache: config.settings.cache, threads: config.threads, scales: config.scales };
  const wanted = { maps: network.maps, base: keepsBase(backbone, network) };
  return { list, request: { backbone, source: dataset.source, lists: [list], ...wanted, ...kept } };
}

/** A list may have needed a larger scale than the one trained on: the export must hold both. */
function scalesOf({ config, network }: OpenedRun, { maps }: FeatureSet): number[] {
  return network.maps.map((map, index) => Math.max(config.scales[index] ?? 1, maps[mapName(map)]!.scale));
}

async function cardOf(
  workspace: Workspace,
  { config, backbone, frozen, network, scales, half }: ExportSource,
): Promise<Card> {
  const { run, created, dataset, classes, settings, parameters, headParameters } = config;
  const result = await readResult(workspace, run);
  const { epoch, top1, macro } = await readCheckpointMetadata(runFile(workspace, run, 'best'));
  const epochsDone = result?.epochs ?? (await readMetrics(runFile(workspace, run, 'metrics'))).length;
  return {
    run,
    created,
    dataset,
    classes,
    settings,
    parameters,
    headParameters,
    scales,
    half,
    epoch: epoch === undefined ? null : Number(epoch),
    epochsDone,
    val: top1 === undefined ? null : { top1: Number(top1), macro: Number(macro) },
    test: result?.test ?? null,
    backbone: { name: backbone.name, sha256: backbone.sha256, batch: backbone.structure.input.batch },
    preprocessing: backbone.preprocessing,
    layout: frozen.layout,
    maps: network.maps,
    usesBase: network.usesBase,
  };
}

async function encode(form: Form, source: ExportSource, metadata: Record<string, string>): Promise<Uint8Array> {
  const { backbone, frozen, network, parameters, scales, config, half } = source;
  const model =
    form === 'adaptor'
      ? await adaptorModel({ network, parameters, layout: frozen.layout, scales, metadata })
      : await mergedModel({
          backbone: await readModel(backbone),
          structure: backbone.structure,
          pool: config.settings.pool,
          network,
          parameters,
          scales,
          metadata,
          storage: roundingOf(config.settings.cache),
        });
  return encodeModel(half ? withHalfWeights(model) : model);
}

function runExported(form: Form, model: Uint8Array, source: ExportSource, options: TaskOptions): Promise<Float32Array> {
  const { backbone, folder, images, network, features, scales, config } = source;
  if (form === 'merged') return runMerged(model, { backbone, source: folder, images }, options);
  const { pool } = config.settings;
  return runAdaptor(model, { set: features, network, pool, images: images.length, scales }, options);
}

/** Logits as evaluation and prediction compute them. */
async function predictInApp(source: ExportSource, { signal }: TaskOptions): Promise<Float32Array> {
  const { config, frozen, features, images, network, layout, parameters } = source;
  const evaluator = await Evaluator.open(
    new CompiledEngine({ threads: config.threads }),
    { features, labels: images.map(({ label }) => label) },
    { network, parameters: layout, layout: frozen.layout, pool: config.settings.pool, form: 'plain', batch: BATCH },
  );
  try {
    const all = new Float32Array(images.length * frozen.classes);
    await evaluator.visit(parameters, (logits, first) => all.set(logits, first * frozen.classes), signal);
    return all;
  } finally {
    await evaluator.close();
  }
}

/** With the names of images and classes. */
function named({ images, maxAbsLogit, bound, top1Changes }: Parity, source: ExportSource): FormParity {
  const { classes } = source.config;
  const changed = top1Changes.map(({ index, from, to, margin }) => ({
    image: pathOfImage(locate({ source: source.folder }, source.images[index]!)),
    from: classes[from]!,
    to: classes[to]!,
    margin,
  }));
  return { images, maxAbsLogit, top1Changes: changed.length, bound, changed };
}

function disagreement(
  form: Form,
  run: string,
  { maxAbsLogit, bound, top1Changes, images }: Parity,
  half: boolean,
): Failure {
  const advice = half
    ? 'export it without --half'
    : 'if the images have not changed since they were added, please report this';
  return new Failure(
    'export-parity',
    `${fileOf(form)} of run ${run} does not give the app's predictions on ${images} images (logits differ by up to ${maxAbsLogit.toPrecision(3)} where ${bound.toPrecision(3)} is allowed, top-1 on ${top1Changes.length}), so nothing was written: ${advice}.`,
  );
}

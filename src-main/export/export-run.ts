import { readModel } from '../backbone/catalogue.ts';
import { mapName } from '../backbone/surgery.ts';
import { Failure } from '../base/failure.ts';
import type { TaskOptions } from '../base/progress.ts';
import type { DatasetImage } from '../data/dataset.ts';
import { loadDataset } from '../data/dataset-store.ts';
import { CompiledEngine } from '../engine/compiled.ts';
import { encodeModel } from '../engine/onnx/model.ts';
import { roundingOf, type FeatureSet } from '../features/feature-set.ts';
import { provideFeatures } from '../features/provide-features.ts';
import { readCheckpointMetadata } from '../training/checkpoint.ts';
import { Evaluator } from '../training/evaluate-network.ts';
import { openRun, type OpenedRun } from '../training/open-run.ts';
import { readResult, runFile, type Score } from '../training/run-folder.ts';
import { splitImages } from '../training/split-images.ts';
import type { Workspace } from '../workspace/workspace.ts';
import { adaptorModel } from './adaptor.ts';
import { cardMetadata, type Card, type Form } from './card.ts';
import { fileOf, FORMS, prepareFolder, writeExport, type EncodedModels } from './files.ts';
import { mergedModel } from './merged.ts';
import { ADAPTOR_TOLERANCE, compareLogits, MERGED_TOLERANCE, type Parity } from './parity.ts';
import { runAdaptor, runMerged } from './run-exported.ts';
import { evenly, withSampledFeatures } from './sampled-features.ts';

export interface ExportRequest {
  run: string;
  /** Folder to write to; made where it is missing. */
  out: string;
  /** Both when left out. */
  form?: Form;
  /** Images to compare the exported models with the app on, at most. */
  images?: number;
}

/** `top1Changes` counts them. */
export interface FormParity {
  images: number;
  maxAbsLogit: number;
  top1Changes: number;
}

export interface ExportResult {
  run: string;
  /** Absolute paths. */
  files: string[];
  /** That of the merged model where there is one, else of the adaptor; and each by its form. */
  parity: FormParity & Partial<Record<Form, FormParity>>;
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
}

/**
 * Exports a run's best parameters as ONNX models, after both have been run beside the app's own predictions on up to
 * `images` images, taken at even steps from val, else from train: lists are often sorted by class. Nothing is written
 * unless they agree.
 * @throws Failure `bad-out`, `no-dataset`, `export-parity`, and those of `openRun`, `mergedModel` and `provideFeatures`.
 */
export async function exportRun(
  workspace: Workspace,
  { run: named, out, form, images = PARITY_IMAGES }: ExportRequest,
  options: TaskOptions = {},
): Promise<ExportResult> {
  const forms = form ? [form] : FORMS;
  const opened = await openRun(workspace, named);
  const { run } = opened.config;
  // Early: a folder that cannot be written to should not cost the user the wait.
  await prepareFolder(out, forms);
  const whole = await prepare(workspace, opened, options);
  const card = await cardOf(workspace, whole);
  const rows = evenly(whole.images.length, images);
  const sample = { set: whole.features, maps: opened.network.maps, rows };
  const { models, parities } = await withSampledFeatures(workspace, sample, (features) =>
    encodeChecked(forms, { ...whole, features, images: rows.map((row) => whole.images[row]!) }, card, options),
  );
  const files = await writeExport(out, models, card);
  return { run, files, parity: { ...(parities.merged ?? parities.adaptor)!, ...parities } };
}

/** The models of an export, each of which gives the app's predictions. @throws Failure `export-parity` */
async function encodeChecked(
  forms: readonly Form[],
  source: ExportSource,
  card: Card,
  options: TaskOptions,
): Promise<{ models: EncodedModels; parities: Partial<Record<Form, FormParity>> }> {
  const { run, classes } = source.config;
  const models: EncodedModels = {};
  const parities: Partial<Record<Form, FormParity>> = {};
  const expected = await predictInApp(source, options);
  for (const form of forms) {
    options.signal?.throwIfAborted();
    const model = await encode(form, source, cardMetadata(card));
    const logits = await runExported(form, model, source, options);
    const tolerance = form === 'adaptor' ? ADAPTOR_TOLERANCE : MERGED_TOLERANCE;
    const parity = compareLogits(expected, logits, classes.length, tolerance);
    if (!parity.holds) throw disagreement(form, run, parity);
    models[form] = model;
    parities[form] = counted(parity);
  }
  return { models, parities };
}

/** With all images of val, else of train. */
async function prepare(workspace: Workspace, opened: OpenedRun, options: TaskOptions): Promise<ExportSource> {
  const { config, backbone, network } = opened;
  const dataset = await loadDataset(workspace, config.dataset);
  // Whole lists as they were trained with, because under those their features are cached.
  const { train, val } = splitImages(dataset, config.settings, true);
  const images = val.length > 0 ? val : train;
  const { source: folder } = dataset;
  const kept = { cache: config.settings.cache, threads: config.threads, scales: config.scales };
  const request = { backbone, source: folder, lists: [images], maps: network.maps, ...kept };
  const { sets } = await provideFeatures(workspace, request, options);
  const features = sets[0]!;
  // A list may have needed a larger scale than the one trained on: the export must hold both.
  const scales = network.maps.map((map, index) =>
    Math.max(config.scales[index] ?? 1, features.maps[mapName(map)]!.scale),
  );
  return { ...opened, folder, images, features, scales };
}

async function cardOf(
  workspace: Workspace,
  { config, backbone, frozen, network, scales }: ExportSource,
): Promise<Card> {
  const { run, created, dataset, classes, settings, parameters, headParameters } = config;
  const result = await readResult(workspace, run);
  return {
    ...{ run, created, dataset, classes, settings, parameters, headParameters, scales },
    val: result ? result.val : await bestSoFar(workspace, run),
    test: result?.test ?? null,
    backbone: { name: backbone.name, sha256: backbone.sha256, batch: backbone.structure.input.batch },
    preprocessing: backbone.preprocessing,
    layout: frozen.layout,
    maps: network.maps,
    usesBase: network.usesBase,
  };
}

/** Val score of the best parameters of a run that is not finished. */
async function bestSoFar(workspace: Workspace, run: string): Promise<Score | null> {
  const { top1, macro } = await readCheckpointMetadata(runFile(workspace, run, 'best'));
  return top1 === undefined ? null : { top1: Number(top1), macro: Number(macro) };
}

async function encode(form: Form, source: ExportSource, metadata: Record<string, string>): Promise<Uint8Array> {
  const { backbone, frozen, network, parameters, scales, config } = source;
  if (form === 'adaptor')
    return encodeModel(await adaptorModel({ network, parameters, layout: frozen.layout, scales, metadata }));
  return encodeModel(
    await mergedModel({
      backbone: await readModel(backbone),
      structure: backbone.structure,
      pool: config.settings.pool,
      ...{ network, parameters, scales, metadata, storage: roundingOf(config.settings.cache) },
    }),
  );
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

function counted({ images, maxAbsLogit, top1Changes }: Parity): FormParity {
  return { images, maxAbsLogit, top1Changes: top1Changes.length };
}

function disagreement(form: Form, run: string, { maxAbsLogit, bound, top1Changes, images }: Parity): Failure {
  return new Failure(
    'export-parity',
    `${fileOf(form)} of run ${run} does not give the app's predictions on ${images} images (logits differ by up to ${maxAbsLogit.toPrecision(3)} where ${bound.toPrecision(3)} is allowed, top-1 on ${top1Changes.length}), so nothing was written: if the images have not changed since they were added, please report this.`,
  );
}

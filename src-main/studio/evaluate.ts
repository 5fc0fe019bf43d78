import { Failure } from '../base/failure.ts';
import type { TaskOptions } from '../base/progress.ts';
import {
  imagesOf,
  labelledHash,
  locate,
  splitNames,
  type Dataset,
  type DatasetImage,
  type SplitName,
} from '../data/dataset.ts';
import { readEditLog } from '../data/edits/edit-log.ts';
import { pathOfImage } from '../data/image-reference.ts';
import { openEngine } from '../engine/open-engine.ts';
import { keepsBase } from '../features/feature-set.ts';
import { withFeatures } from '../features/with-features.ts';
import { bootstrapTop1 } from '../training/bootstrap.ts';
import { readCheckpointMetadata } from '../training/checkpoint.ts';
import { Evaluator } from '../training/evaluate-network.ts';
import { argMax, MetricsCollector, softmax } from '../training/metrics.ts';
import { openRun } from '../training/open-run.ts';
import { datasetOfRun } from '../training/run-dataset.ts';
import { runFile } from '../training/run-folder.ts';
import type { Workspace } from '../workspace/workspace.ts';
import { keepEvaluation, type Evaluation, type Outcomes } from './analysis/evaluation.ts';
import { classScores, macroAverages } from './class-scores.ts';
import { usualThreads } from './preferences.ts';
import { checkRecordsPath, writeRecords } from './records-file.ts';

export interface EvaluateRequest {
  run: string;
  /** Test where there is one, else val, when left out. */
  split?: SplitName;
  threads?: number;
  /** A .csv or .json file to write each image's prediction to. */
  predictions?: string;
}

/** A line of the predictions file; labels are class names. */
interface PredictedImage {
  path: string;
  label: string;
  predicted: string;
  probability: number;
  correct: boolean;
}

/** Images in a batch of an evaluation. */
const BATCH = 8;

/** Evaluates a run's best parameters on a split of its dataset, and keeps what it found beside the run. @throws Failure */
export async function evaluate(
  workspace: Workspace,
  { run: named, split, threads: asked, predictions }: EvaluateRequest,
  options: TaskOptions = {},
): Promise<Evaluation> {
  const threads = asked ?? (await usualThreads(workspace));
  const file = predictions === undefined ? undefined : await checkRecordsPath(predictions);
  const { config, backbone, frozen, network, layout, parameters } = await openRun(workspace, named);
  const { run } = config;
  const dataset = await datasetOfRun(workspace, config);
  if (JSON.stringify(dataset.classes) !== JSON.stringify(config.classes))
    throw new Failure(
      'dataset-changed',
      `The classes of dataset ${dataset.name} are no longer those that run ${run} was trained on: train again.`,
    );
  const { chosen, images } = imagesToEvaluate(dataset, split);
  if ((await readEditLog(workspace, dataset.name)).length > (config.datasetEdits ?? 0))
    options.onRemark?.(
      `The dataset ${dataset.name} was edited after run ${run} began: it is evaluated on the images and labels that it was trained with.`,
    );
  const kept = { cache: config.settings.cache, scales: config.scales, threads };
  const wanted = { maps: network.maps, base: keepsBase(backbone, network) };
  const request = { backbone, source: dataset.source, lists: [images], ...wanted, ...kept };
  const { collector, predicted, outcomes } = await withFeatures(workspace, request, options, async ({ sets }) => {
    const evaluator = await Evaluator.open(
      await openEngine('compiled', threads),
      { features: sets[0]!, labels: images.map(({ label }) => label) },
      { network, parameters: layout, layout: frozen.layout, pool: config.settings.pool, form: 'plain', batch: BATCH },
    );
    const collector = new MetricsCollector(config.classes.length);
    const predicted: PredictedImage[] = [];
    const outcomes: Outcomes = { predicted: [], confidence: [], own: [] };
    const add = (logits: Float32Array, first: number, count: number): void => {
      const some = images.slice(first, first + count);
      const labels = some.map(({ label }) => label);
      collector.add(logits, labels);
      addOutcomes(outcomes, logits, labels);
      if (file !== undefined) predicted.push(...predictedImages(dataset, some, logits));
    };
    try {
      await evaluator.visit(parameters, add, options.signal);
    } finally {
      await evaluator.close();
    }
    return { collector, predicted, outcomes };
  });
  if (file !== undefined) await writeRecords(file, COLUMNS, predicted);
  const { top1, macro, loss, ece, reliability, confusion } = collector.result();
  const perClass = classScores(confusion, config.classes);
  const { epoch } = await readCheckpointMetadata(runFile(workspace, run, 'best'));
  const evaluation: Evaluation = {
    run,
    split: chosen,
    images: images.length,
    epoch: Number(epoch),
    top1,
    interval: bootstrapTop1(Math.round(top1 * images.length), images.length),
    macro,
    averages: macroAverages(perClass),
    loss,
    ece,
    reliability,
    perClass,
    confusion,
    ...(file === undefined ? {} : { predictions: file }),
  };
  // Kept so that pages need not compute it again; where the disk has no room they have to.
  await keepEvaluation(workspace, evaluation, outcomes, labelledHash(images)).catch(() => undefined);
  return evaluation;
}

function addOutcomes({ predicted, confidence, own }: Outcomes, logits: Float32Array, labels: readonly number[]): void {
  const classes = logits.length / labels.length;
  labels.forEach((label, index) => {
    const probabilities = softmax(logits.subarray(index * classes, (index + 1) * classes));
    const best = argMax(probabilities);
    predicted.push(best);
    confidence.push(rounded(probabilities[best]!));
    own.push(rounded(probabilities[label]!));
  });
}

/** Six digits are enough to tell images apart, and a third of the room. */
const rounded = (fraction: number): number => Math.round(fraction * 1e6) / 1e6;

function imagesToEvaluate(
  dataset: Dataset,
  split: SplitName | undefined,
): { chosen: SplitName; images: DatasetImage[] } {
  const chosen = split ?? (imagesOf(dataset, 'test').length > 0 ? 'test' : 'val');
  const images = imagesOf(dataset, chosen);
  if (images.length > 0) return { chosen, images };
  const there = splitNames.filter((name) => imagesOf(dataset, name).length > 0);
  throw new Failure('no-split', `Dataset ${dataset.name} has no ${chosen} split: it has ${there.join(', ')}.`);
}

const COLUMNS = ['path', 'label', 'predicted', 'probability', 'correct'] as const;

function predictedImages(
  { source, classes }: Dataset,
  images: readonly DatasetImage[],
  logits: Float32Array,
): PredictedImage[] {
  return images.map((image, index) => {
    const row = logits.subarray(index * classes.length, (index + 1) * classes.length);
    const best = argMax(row);
    return {
      // One of many in a packed file is told by its row.
      path: pathOfImage(locate({ source }, image)),
      label: classes[image.label]!,
      predicted: classes[best]!,
      probability: softmax(row)[best]!,
      correct: best === image.label,
    };
  });
}

import type { TaskOptions } from '../base/progress.ts';
import { startDecoder } from '../data/decode/start-decoder.ts';
import { imageBatches } from '../features/image-batches.ts';
import { argMax, softmax } from '../training/metrics.ts';
import { openRun, type OpenedRun } from '../training/open-run.ts';
import type { Workspace } from '../workspace/workspace.ts';
import { Classifier } from './classifier.ts';
import { imagesToPredict } from './images-to-predict.ts';
import { usualThreads } from './preferences.ts';
import { checkRecordsPath, writeRecords } from './records-file.ts';

export interface PredictRequest {
  run: string;
  /** Paths of image files, and of folders for the images in them. */
  images: readonly string[];
  /** A .csv or .json file to write the predictions to. */
  out?: string;
  threads?: number;
}

export interface Guess {
  label: string;
  index: number;
  probability: number;
}

/** What a picture is taken for, most probable class first in `top`. */
export interface Guesses {
  label: string;
  index: number;
  top: Guess[];
}

/** One image's answer, or why there is none. */
export type Prediction = ({ image: string } & Guesses) | { image: string; error: string };

export interface Predictions {
  predictions: Prediction[];
  /** Absolute path of the file, where one was asked for. */
  out?: string;
}

const TOP = 5;
const COLUMNS = ['path', 'predicted', 'probability', 'error'] as const;

/**
 * Classifies images with a run's best parameters, in the order asked, a folder's sorted. An image that gives no answer
 * gets an `error`. No more pictures are held than a few batches.
 * @throws Failure those of `openRun`, `imagesToPredict`, `checkRecordsPath`
 */
export async function predict(
  workspace: Workspace,
  { run, images, out, threads }: PredictRequest,
  options: TaskOptions = {},
): Promise<Predictions> {
  const file = out === undefined ? undefined : await checkRecordsPath(out);
  const opened = await openRun(workspace, run);
  const asked = await imagesToPredict(images);
  const readable = asked.filter(({ error }) => error === undefined).map(({ path }) => path);
  const answers = await classifyFiles(opened, readable, threads ?? (await usualThreads(workspace)), options);
  let next = 0;
  const predictions = asked.map(({ path, error }) => (error === undefined ? answers[next++]! : { image: path, error }));
  if (file === undefined) return { predictions };
  await writeRecords(file, COLUMNS, predictions.map(recordOf));
  return { predictions, out: file };
}

async function classifyFiles(
  opened: OpenedRun,
  images: readonly string[],
  threads: number,
  { onProgress, signal }: TaskOptions,
): Promise<Prediction[]> {
  const { preprocessing } = opened.backbone;
  const decoder = await startDecoder();
  let classifier: Classifier | undefined;
  const predictions: Prediction[] = [];
  try {
    classifier = await Classifier.open(opened, threads);
    const files = images.map((path) => ({ path }));
    const source = { decoder, preprocessing, batch: classifier.batch, tolerant: true, signal };
    for await (const { first, count, pixels, errors } of imageBatches(files, source)) {
      const outcomes = errors.size < count ? await classifier.classify(pixels, count) : [];
      for (let index = 0; index < count; index++) {
        const image = images[first + index]!;
        const outcome = errors.get(index) ?? outcomes[index]!;
        predictions.push(
          typeof outcome === 'string' ? { image, error: outcome } : answer(image, outcome, opened.config.classes),
        );
      }
      onProgress?.({ task: 'predict', done: predictions.length, total: images.length, unit: 'images' });
    }
  } finally {
    await classifier?.close();
    await decoder.close();
  }
  return predictions;
}

function recordOf(prediction: Prediction): Record<(typeof COLUMNS)[number], string | number | null> {
  const { image: path } = prediction;
  if ('error' in prediction) return { path, predicted: null, probability: null, error: prediction.error };
  return { path, predicted: prediction.label, probability: prediction.top[0]!.probability, error: null };
}

function answer(image: string, logits: Float32Array, classes: readonly string[]): Prediction {
  return { image, ...guessesOf(logits, classes) };
}

/** The class of highest logit, and the most probable ones, best first. */
export function guessesOf(logits: Float32Array, classes: readonly string[]): Guesses {
  const probabilities = softmax(logits);
  const order = Array.from(probabilities.keys()).sort((a, b) => probabilities[b]! - probabilities[a]!);
  const top = order
    .slice(0, TOP)
    .map((index): Guess => ({ label: classes[index]!, index, probability: probabilities[index]! }));
  const index = argMax(logits);
  return { label: classes[index]!, index, top };
}

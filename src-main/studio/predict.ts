import { availableParallelism } from 'node:os';
import type { TaskOptions } from '../base/progress.ts';
import { startDecoder } from '../data/decode/start-decoder.ts';
import { imageBatches } from '../features/image-batches.ts';
import { argMax, softmax } from '../training/metrics.ts';
import { openRun } from '../training/open-run.ts';
import type { Workspace } from '../workspace/workspace.ts';
import { Classifier } from './classifier.ts';

export interface PredictRequest {
  run: string;
  /** Paths of image files. */
  images: readonly string[];
  threads?: number;
}

export interface Guess {
  label: string;
  index: number;
  probability: number;
}

/** One image's answer, most probable class first in `top`; or why there is none. */
export type Prediction =
  { image: string; label: string; index: number; top: Guess[] } | { image: string; error: string };

const TOP = 5;

/** Classifies images with a run's best parameters, in the order asked. An image that gives no answer gets an `error`. */
export async function predict(
  workspace: Workspace,
  { run, images, threads = availableParallelism() }: PredictRequest,
  { onProgress, signal }: TaskOptions = {},
): Promise<{ predictions: Prediction[] }> {
  const opened = await openRun(workspace, run);
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
  return { predictions };
}

function answer(image: string, logits: Float32Array, classes: readonly string[]): Prediction {
  const probabilities = softmax(logits);
  const order = Array.from(probabilities.keys()).sort((a, b) => probabilities[b]! - probabilities[a]!);
  const top = order
    .slice(0, TOP)
    .map((index): Guess => ({ label: classes[index]!, index, probability: probabilities[index]! }));
  const index = argMax(logits);
  return { image, label: classes[index]!, index, top };
}

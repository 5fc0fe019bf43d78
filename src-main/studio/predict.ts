import { availableParallelism } from 'node:os';
import { Failure } from '../base/failure.ts';
import type { TaskOptions } from '../base/progress.ts';
import { startDecoder } from '../data/decode/start-decoder.ts';
import { openEngine } from '../engine/open-engine.ts';
import { FrozenVit, type TappedBatch } from '../features/frozen-vit.ts';
import { normalizePixels } from '../features/pixels.ts';
import { argMax, softmax } from '../training/metrics.ts';
import { openRun, type OpenedRun } from '../training/open-run.ts';
import { logitsProgram } from '../training/programs.ts';
import type { Buffers } from '../engine/program.ts';
import type { Workspace } from '../workspace/workspace.ts';

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

/** Classifies images with a run's best parameters, in the order asked. An image that cannot be read gets an `error`. */
export async function predict(
  workspace: Workspace,
  { run, images, threads = availableParallelism() }: PredictRequest,
  { onProgress, signal }: TaskOptions = {},
): Promise<{ predictions: Prediction[] }> {
  const opened = await openRun(workspace, run);
  const decoder = await startDecoder();
  const vit = await FrozenVit.open(opened.backbone, opened.network.maps, { threads }).catch(async (error: unknown) => {
    await decoder.close();
    throw error;
  });
  const adaptor = await openAdaptor(opened, vit.batch, threads);
  const { preprocessing } = opened.backbone;
  const size = 3 * preprocessing.width * preprocessing.height;
  const predictions: Prediction[] = [];
  try {
    for (let first = 0; first < images.length; first += vit.batch) {
      signal?.throwIfAborted();
      const paths = images.slice(first, first + vit.batch);
      const decoded = await Promise.all(
        paths.map((path) =>
          decoder.decode(path, preprocessing).catch((error: unknown) => {
            if (error instanceof Failure) return error.message;
            throw error;
          }),
        ),
      );
      const readable = decoded.filter((pixels) => typeof pixels !== 'string');
      const pixels = new Float32Array(readable.length * size);
      readable.forEach((rgb, index) => normalizePixels(rgb, preprocessing, pixels, index * size));
      const rows =
        readable.length > 0
          ? await adaptor(await vit.run(pixels, readable.length, opened.config.scales), readable.length)
          : [];
      decoded.forEach((outcome, index) => {
        const image = paths[index]!;
        predictions.push(
          typeof outcome === 'string' ? { image, error: outcome } : answer(image, rows.shift()!, opened.config.classes),
        );
      });
      onProgress?.({ task: 'predict', done: predictions.length, total: images.length, unit: 'images' });
    }
  } finally {
    await vit.close();
    await decoder.close();
  }
  return { predictions };
}

/** The side network and head as a function of what the tapped ViT puts out: logits of each image. */
async function openAdaptor(
  { config, ground, network, layout, parameters }: OpenedRun,
  batch: number,
  threads: number,
): Promise<(features: TappedBatch, count: number) => Promise<Float32Array[]>> {
  const engine = await openEngine('compiled', threads);
  const program = logitsProgram(network, layout, {
    batch,
    layout: ground.layout,
    scales: config.scales,
    rowSums: false,
    dropPath: false,
  });
  const executable = await engine.compile(program);
  const classes = config.classes.length;
  const { tokens, width } = ground.layout;
  return async (features, count) => {
    const feeds: Buffers = { parameters };
    features.maps.forEach(({ map }, index) => {
      const padded = new Uint16Array(batch * tokens * width);
      padded.set(map);
      feeds[`map_${index}`] = padded;
    });
    const base = new Float32Array(batch * width);
    base.set(config.settings.pool === 'cls' ? features.baseCls! : features.baseMean);
    if (network.usesBase) feeds.base = base;
    const { logits } = await executable.run(feeds);
    return Array.from({ length: count }, (_, index) =>
      (logits as Float32Array).subarray(index * classes, (index + 1) * classes),
    );
  };
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

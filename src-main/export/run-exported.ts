import { availableParallelism } from 'node:os';
import type { Backbone } from '../backbone/catalogue.ts';
import type { TaskOptions } from '../base/progress.ts';
import { locate, type DatasetImage } from '../data/dataset.ts';
import { startDecoder } from '../data/decode/start-decoder.ts';
import { checkUnchanged } from '../data/image-file.ts';
import { fromHalf, toHalf } from '../engine/half.ts';
import { sizeOf } from '../engine/program.ts';
import type { SentTensor } from '../engine/session-messages.ts';
import { SessionThread, type ThreadSession } from '../engine/session-thread.ts';
import type { FeatureSet } from '../features/feature-set.ts';
import { imageBatches } from '../features/image-batches.ts';
import { openFeatures } from '../features/open-features.ts';
import type { Network, Pool } from '../methods/network.ts';
import { BASE, FEATURES } from './adaptor.ts';
import { PIXELS } from './merged.ts';
import { LOGITS } from './traced-adaptor.ts';

/** Images that go through an exported model together: not as many as the app takes, so that nothing rests on that. */
const BATCH = 3;

/** An encoded model opened by onnxruntime on a thread of its own for as long as `use` takes. */
async function withModel<T>(model: Uint8Array, use: (session: ThreadSession) => Promise<T>): Promise<T> {
  const thread = new SessionThread();
  try {
    return await use(await thread.open(model, availableParallelism()));
  } finally {
    await thread.close();
  }
}

export interface CachedFeatures {
  set: FeatureSet;
  network: Network;
  pool: Pool;
  /** Number of images to take, from the first on. */
  images: number;
  /** The scales that the exported model was made with, at least those of the set. */
  scales: readonly number[];
}

/** Logits [images, classes] of an encoded adaptor on cached features. */
export async function runAdaptor(
  model: Uint8Array,
  { set, network, pool, images, scales }: CachedFeatures,
  { signal }: TaskOptions = {},
): Promise<Float32Array> {
  const { maps, usesBase } = network;
  const reader = await openFeatures(set, { maps, rowSums: false, base: usesBase ? pool : null });
  const mapSize = set.tokens * set.width;
  try {
    return await withModel(model, async (session) => {
      const logits: Float32Array[] = [];
      for (let first = 0; first < images; first += BATCH) {
        signal?.throwIfAborted();
        const count = Math.min(BATCH, images - first);
        const buffers = reader.allocate(count);
        await reader.read(
          Array.from({ length: count }, (_, index) => first + index),
          buffers,
        );
        const feeds: Record<string, SentTensor> = {};
        if (maps.length > 0) {
          const stored = maps.map((_, index) =>
            rescaled(buffers[`map_${index}`] as Uint16Array, reader.scales[index]! / scales[index]!),
          );
          const shape = [count, maps.length, set.tokens, set.width];
          feeds[FEATURES] = { storage: 'float16', shape, data: stacked(stored, count, mapSize) };
        }
        if (usesBase)
          feeds[BASE] = { storage: 'float32', shape: [count, set.width], data: buffers.base as Float32Array };
        logits.push(await logitsOf(session, feeds));
      }
      return joined(logits);
    });
  } finally {
    await reader.close();
  }
}

export interface ImageFiles {
  backbone: Backbone;
  /** Folder that the images' paths are relative to. */
  source: string;
  images: readonly DatasetImage[];
}

/**
 * Logits [images, classes] of an encoded merged model on image files.
 * @throws Failure `image` for one that cannot be read, `image-changed`
 */
export async function runMerged(
  model: Uint8Array,
  { backbone, source, images }: ImageFiles,
  { signal, onProgress }: TaskOptions = {},
): Promise<Float32Array> {
  const { preprocessing, structure } = backbone;
  const size = 3 * preprocessing.width * preprocessing.height;
  const batch = structure.input.batch ?? BATCH;
  const decoder = await startDecoder();
  try {
    return await withModel(model, async (session) => {
      const logits: Float32Array[] = [];
      const files = images.map((image) => locate({ source }, image));
      const check = (place: number) => checkUnchanged({ source }, images[place]!);
      const read = { decoder, preprocessing, batch, check, signal };
      for await (const { first, count, pixels } of imageBatches(files, read)) {
        // A fixed batch is filled up with black pictures, whose logits are left out.
        const rows = structure.input.batch ?? count;
        const data = new Float32Array(rows * size);
        data.set(pixels);
        const shape = [rows, 3, preprocessing.height, preprocessing.width];
        const found = await logitsOf(session, { [PIXELS]: { storage: 'float32', shape, data } });
        logits.push(found.subarray(0, (found.length / rows) * count));
        onProgress?.({ task: 'compare', done: first + count, total: images.length, unit: 'images' });
      }
      return joined(logits);
    });
  } finally {
    await decoder.close();
  }
}

async function logitsOf(session: ThreadSession, feeds: Record<string, SentTensor>): Promise<Float32Array> {
  return (await session.run(feeds))[LOGITS]!.data as Float32Array;
}

/** Maps [count, tokens, width] each as one [count, maps, tokens, width]. */
export function stacked(maps: readonly Uint16Array[], count: number, mapSize: number): Uint16Array {
  const features = new Uint16Array(sizeOf([count, maps.length, mapSize]));
  maps.forEach((map, index) => {
    for (let image = 0; image < count; image++)
      features.set(map.subarray(image * mapSize, (image + 1) * mapSize), (image * maps.length + index) * mapSize);
  });
  return features;
}

/** Half-precision values times a power of two; the very array where that is 1. */
export function rescaled(halves: Uint16Array, factor: number): Uint16Array {
  return factor === 1 ? halves : halves.map((half) => toHalf(fromHalf(half) * factor));
}

function joined(parts: readonly Float32Array[]): Float32Array {
  const whole = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

import { Failure } from '../base/failure.ts';
import type { Preprocessing } from '../backbone/preprocessing.ts';
import type { Decoder } from '../data/decode/decoder.ts';
import type { ImageReference } from '../data/image-reference.ts';
import { normalizePixels } from './pixels.ts';
import { SpareBuffers } from './spare-buffers.ts';

/** Some consecutive images of a list, as pixels. */
export interface ImageBatch {
  /** Place of the first one in the list. */
  first: number;
  count: number;
  /** [count, 3, height, width], normalised; zeros where an image has an error. Good until the next batch is asked for. */
  pixels: Float32Array<ArrayBuffer>;
  /** By place in the batch: why an image cannot be had. */
  errors: ReadonlyMap<number, string>;
}

export interface ImageSource {
  decoder: Decoder;
  preprocessing: Preprocessing;
  /** Images in a batch; the last one may have fewer. */
  batch: number;
  /** Whether an image that cannot be had is an entry of `errors`; else it ends the whole. */
  tolerant?: boolean;
  /** Called with the place of each image before it is read. @throws Failure where it should not be. */
  check?: (place: number) => Promise<void>;
  signal?: AbortSignal;
}

/** Batches that are being decoded while one is used. */
const AHEAD = 3;

/**
 * Images as batches of pixels, in order, the next ones being decoded while one is used.
 * @throws Failure of the decoder or of `check` unless `tolerant`; the signal's reason
 */
export async function* imageBatches(
  images: readonly ImageReference[],
  source: ImageSource,
): AsyncGenerator<ImageBatch> {
  const { width, height } = source.preprocessing;
  const spare = new SpareBuffers();
  const pending: Promise<ImageBatch>[] = [];
  let next = 0;
  for (let done = 0; done < images.length; done += source.batch) {
    while (pending.length < AHEAD && next < images.length) {
      const count = Math.min(source.batch, images.length - next);
      const pixels = new Float32Array(spare.take(count * 3 * width * height * Float32Array.BYTES_PER_ELEMENT));
      const batch = readBatch(images, { first: next, count, pixels }, source);
      // Seen when its turn comes; until then a failure is not unhandled.
      batch.catch(() => undefined);
      pending.push(batch);
      next += source.batch;
    }
    const batch = await pending.shift()!;
    source.signal?.throwIfAborted();
    yield batch;
    spare.give(batch.pixels.buffer);
  }
}

async function readBatch(
  images: readonly ImageReference[],
  { first, count, pixels }: Omit<ImageBatch, 'errors'>,
  { decoder, preprocessing, tolerant, check }: ImageSource,
): Promise<ImageBatch> {
  const size = 3 * preprocessing.width * preprocessing.height;
  const errors = new Map<number, string>();
  await Promise.all(
    images.slice(first, first + count).map(async (image, index) => {
      try {
        await check?.(first + index);
        normalizePixels(await decoder.decode(image, preprocessing), preprocessing, pixels, index * size);
      } catch (error) {
        if (!tolerant || !(error instanceof Failure) || error.code !== 'image') throw error;
        errors.set(index, error.message);
        pixels.fill(0, index * size, (index + 1) * size);
      }
    }),
  );
  return { first, count, pixels, errors };
}

import { mapName, type MapRequest } from '../backbone/surgery.ts';
import { locate } from '../data/dataset.ts';
import type { Decoder } from '../data/decode/decoder.ts';
import { checkUnchanged } from '../data/image-file.ts';
import { Failure } from '../base/failure.ts';
import { ORT_VERSION } from '../engine/session.ts';
import type { FrozenVit } from './frozen-vit.ts';
import { imageBatches } from './image-batches.ts';
import { copyHeldRows, recordRows, type RowHolder } from './kept-rows.ts';
import { begunScale, ListFiles, type FeatureOrigin, type Gap } from './list-files.ts';
import { HEADROOM, LARGEST_HALF } from './map-scales.ts';

/** One list to be extracted, with what that takes. */
export interface ListJob {
  origin: FeatureOrigin;
  gap: Gap;
  /** What the ViT puts out. */
  maps: readonly MapRequest[];
  /** Who has some of it already. */
  holders: readonly RowHolder[];
  /** Opened when the first image needs it. */
  vit: () => Promise<FrozenVit>;
  threads: number;
  decoder: Decoder;
  signal: AbortSignal | undefined;
  /** Called with how many of the list's images are done. */
  report: (done: number) => void;
}

/** A map's values no longer fit its scale: the list has to start again, with these scales. */
class Overflow extends Error {
  constructor(readonly scales: readonly number[]) {
    super('overflow');
  }
}

/**
 * Writes the features of a list that are missing: rows that the cache has elsewhere are copied, the other images go
 * through the ViT; once more, with other scales, where values outgrow theirs. What was begun is gone on with.
 */
export async function extractList(job: ListJob): Promise<void> {
  let scales: readonly number[] = await firstScales(job);
  for (;;) {
    try {
      await writeList(job, scales);
      return;
    } catch (error) {
      if (!(error instanceof Overflow)) throw error;
      ({ scales } = error);
    }
  }
}

/** Those that the list was begun with, else those of what can be copied. */
async function firstScales({ gap, maps, holders }: ListJob): Promise<number[]> {
  return Promise.all(
    maps.map(async (map) => (await begunScale(gap, map)) ?? holders[0]?.scales.get(mapName(map)) ?? 1),
  );
}

async function writeList(job: ListJob, scales: readonly number[]): Promise<void> {
  const { gap, origin, maps, holders, signal, report } = job;
  const files = await ListFiles.open(gap, origin, maps, scales);
  try {
    await copyHeldRows(holders, files, signal);
    const remaining = files.remaining();
    let done = gap.images.length - remaining.length;
    for await (const { places, batch } of tapImages(job, remaining, scales)) {
      signal?.throwIfAborted();
      await files.write(places, batch);
      done += places.length;
      report(done);
    }
    await files.finish(provenanceOf(job));
    await recordRows(gap, origin);
  } catch (error) {
    const useless = error instanceof Overflow || (error instanceof Failure && error.code === 'non-finite');
    await (useless ? files.abandon() : files.keep());
    throw error;
  }
}

/**
 * Images of the list through the ViT, in order. The ViT is given the next batch before it is done with one, so that it
 * works while the batch before is written.
 * @param remaining places of the images
 * @throws Overflow
 */
async function* tapImages(job: ListJob, remaining: readonly number[], scales: readonly number[]) {
  if (remaining.length === 0) return;
  const { origin, gap, decoder, signal } = job;
  const vit = await job.vit();
  // The first batch leaves room for those that follow; they may use it up.
  const fresh = remaining.length === gap.images.length;
  const tap = async (first: number, count: number, pixels: Float32Array) => {
    const headroom = fresh && first === 0 ? HEADROOM : LARGEST_HALF;
    const { batch, scales: fitting } = await vit.runFitting(pixels, count, scales, headroom);
    if (fitting !== scales) throw new Overflow(fitting);
    return { places: remaining.slice(first, first + count), batch };
  };
  const images = imageBatches(
    remaining.map((place) => locate(origin, gap.images[place]!)),
    {
      decoder,
      preprocessing: origin.backbone.preprocessing,
      batch: vit.batch,
      signal,
      check: (index) => checkUnchanged(origin, gap.images[remaining[index]!]!),
    },
  );
  let ahead: ReturnType<typeof tap> | undefined;
  for await (const { first, count, pixels } of images) {
    const next = tap(first, count, pixels);
    // Seen when its turn comes; until then a failure is not unhandled.
    next.catch(() => undefined);
    if (ahead) {
      const tapped = await ahead;
      yield tapped;
      vit.reuse(tapped.batch);
    }
    ahead = next;
  }
  if (ahead) yield await ahead;
}

function provenanceOf({ origin: { backbone }, threads }: ListJob): Record<string, string> {
  return {
    format: 'sidetune-features',
    backbone: backbone.name,
    backbone_sha256: backbone.sha256,
    onnxruntime: ORT_VERSION,
    device: 'cpu',
    threads: String(threads),
  };
}

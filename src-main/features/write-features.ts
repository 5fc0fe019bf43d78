import { join } from 'node:path';
import { exists } from '../base/exists.ts';
import type { Backbone } from '../backbone/catalogue.ts';
import { mapName, type MapRequest, type MapStorage } from '../backbone/surgery.ts';
import { locate, type DatasetImage } from '../data/dataset.ts';
import type { Decoder } from '../data/decode/decoder.ts';
import { checkUnchanged } from '../data/image-file.ts';
import { ORT_VERSION } from '../engine/session.ts';
import { writeFileAtomic } from '../workspace/atomic.ts';
import { BASE_FILE, baseColumns, mapColumns, mapFileName } from './feature-set.ts';
import type { FrozenVit } from './frozen-vit.ts';
import { imageBatches, type ImageBatch } from './image-batches.ts';
import { HEADROOM, LARGEST_HALF } from './map-scales.ts';
import { RowFileWriter, type RowTensor } from './row-file.ts';
import type { TappedBatch, TappedMap } from './tapped-batch.ts';

/** A list of images of which some features have no file yet. */
export interface Gap {
  images: readonly DatasetImage[];
  folder: string;
  /** What has no file yet. */
  maps: readonly MapRequest[];
  base: boolean;
}

/** One list to be extracted, with what that takes. */
export interface ListJob {
  backbone: Backbone;
  source: string;
  storage: MapStorage;
  gap: Gap;
  maps: readonly MapRequest[];
  vit: FrozenVit;
  threads: number;
  decoder: Decoder;
  signal: AbortSignal | undefined;
  report: (done: number) => void;
}

/** A map's values no longer fit its scale: the list has to start again, with these scales. */
class Overflow extends Error {
  constructor(readonly scales: readonly number[]) {
    super('overflow');
  }
}

/** Writes the features of a list that are missing; once more, with other scales, where values outgrow theirs. */
export async function extractList(job: ListJob): Promise<void> {
  let scales: readonly number[] = job.maps.map(() => 1);
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

/** The files of a list while they are written. */
interface OpenFiles {
  maps: { map: MapRequest; file: RowFileWriter }[];
  base: RowFileWriter | undefined;
}

async function writeList(job: ListJob, scales: readonly number[]): Promise<void> {
  const { gap, maps, report } = job;
  const places = new Map(maps.map((map, index) => [mapName(map), index]));
  const files: OpenFiles = { maps: [], base: undefined };
  try {
    await openFiles(job, files);
    for await (const { first, count, batch } of tapImages(job, scales)) {
      job.signal?.throwIfAborted();
      for (const { map, file } of files.maps) {
        await file.write(first, count, mapRows(batch.maps[places.get(mapName(map))!]!));
      }
      await files.base?.write(first, count, baseRows(batch));
      report(first + count);
    }
    const provenance = provenanceOf(job);
    for (const { map, file } of files.maps) {
      const scale = String(scales[places.get(mapName(map))!]!);
      await finish(file, join(gap.folder, mapFileName(map)), { ...provenance, map: mapName(map), scale });
    }
    if (files.base) await finish(files.base, join(gap.folder, BASE_FILE), provenance);
    const { preprocessing } = job.backbone;
    const about = { ...provenance, images: gap.images.length, source: job.source, preprocessing };
    await writeFileAtomic(join(gap.folder, 'about.json'), `${JSON.stringify(about, null, 2)}\n`);
  } catch (error) {
    for (const { file } of files.maps) await file.abandon();
    await files.base?.abandon();
    throw error;
  }
}

/**
 * The list's images through the ViT, in order. The ViT is given the next batch before it is done with one, so that it
 * works while the batch before is written.
 * @throws Overflow
 */
async function* tapImages(job: ListJob, scales: readonly number[]) {
  const tap = async ({ first, count, pixels }: ImageBatch) => {
    // The first batch leaves room for those that follow; they may use it up.
    const headroom = first === 0 ? HEADROOM : LARGEST_HALF;
    const { batch, scales: fitting } = await job.vit.runFitting(pixels, count, scales, headroom);
    if (fitting !== scales) throw new Overflow(fitting);
    return { first, count, batch };
  };
  let ahead: ReturnType<typeof tap> | undefined;
  for await (const images of readImages(job)) {
    const next = tap(images);
    // Seen when its turn comes; until then a failure is not unhandled.
    next.catch(() => undefined);
    if (ahead) {
      const done = await ahead;
      yield done;
      job.vit.reuse(done.batch);
    }
    ahead = next;
  }
  if (ahead) yield await ahead;
}

/** Keeps a file that another process has finished meanwhile: something may already be reading it. */
export async function finish(file: RowFileWriter, path: string, metadata: Record<string, string>): Promise<void> {
  if (await exists(path)) await file.abandon();
  else await file.finish(metadata);
}

/** Opens them one by one into `files`, so that those that were opened can be abandoned when one fails. */
async function openFiles({ backbone, storage, gap }: ListJob, files: OpenFiles): Promise<void> {
  const { tokens, width, prefix } = backbone.structure;
  const create = (name: string, columns: readonly RowTensor[]) =>
    RowFileWriter.create(join(gap.folder, name), columns, gap.images.length);
  for (const map of gap.maps)
    files.maps.push({ map, file: await create(mapFileName(map), mapColumns(tokens, width, storage)) });
  if (gap.base) files.base = await create(BASE_FILE, baseColumns(width, prefix > 0));
}

function readImages({ backbone, source, gap, vit, decoder, signal }: ListJob): AsyncGenerator<ImageBatch> {
  return imageBatches(
    gap.images.map((image) => locate({ source }, image)),
    {
      decoder,
      preprocessing: backbone.preprocessing,
      batch: vit.batch,
      signal,
      check: (place) => checkUnchanged({ source }, gap.images[place]!),
    },
  );
}

function provenanceOf({ backbone, threads }: ListJob): Record<string, string> {
  return {
    format: 'sidetune-features',
    backbone: backbone.name,
    backbone_sha256: backbone.sha256,
    onnxruntime: ORT_VERSION,
    device: 'cpu',
    threads: String(threads),
  };
}

export function mapRows({ map, rowSums, rowSquareSums, eightBit }: TappedMap): Record<string, ArrayBufferView> {
  const sums = { row_sums: rowSums, row_square_sums: rowSquareSums };
  return eightBit ? { ...sums, row_steps: eightBit.rowSteps, codes: eightBit.codes } : { ...sums, map };
}

export function baseRows({ baseCls, baseMean }: TappedBatch): Record<string, Float32Array> {
  return baseCls ? { base_cls: baseCls, base_mean: baseMean } : { base_mean: baseMean };
}

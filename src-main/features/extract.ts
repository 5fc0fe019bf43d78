import { access } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import type { TaskOptions } from '../base/progress.ts';
import type { Backbone } from '../backbone/catalogue.ts';
import { mapName, type MapRequest } from '../backbone/surgery.ts';
import { imagePath, type DatasetImage } from '../data/dataset.ts';
import { startDecoder } from '../data/decode/start-decoder.ts';
import type { Decoder } from '../data/decode/decoder.ts';
import { ORT_VERSION } from '../engine/session.ts';
import { writeFileAtomic } from '../workspace/atomic.ts';
import type { Workspace } from '../workspace/workspace.ts';
import {
  BASE_FILE,
  baseColumns,
  featureKey,
  mapColumns,
  mapFileName,
  storedMap,
  type FeatureSet,
} from './feature-set.ts';
import { FrozenVit, type TappedBatch } from './frozen-vit.ts';
import { largestHalf, raiseScales } from './map-scales.ts';
import { normalizePixels } from './pixels.ts';
import { RowFileReader, RowFileWriter } from './row-file.ts';

export interface ExtractionRequest {
  backbone: Backbone;
  /** Folder that the images' paths are relative to. */
  source: string;
  /** Lists whose features are wanted, for instance one for each split. */
  lists: readonly (readonly DatasetImage[])[];
  maps: readonly MapRequest[];
  threads?: number;
}

export interface Extraction {
  /** In the order of the lists. */
  sets: FeatureSet[];
  /** Seconds spent in extraction; 0 when everything was there. */
  seconds: number;
}

interface Gap {
  images: readonly DatasetImage[];
  folder: string;
  /** What has no file yet. */
  maps: readonly MapRequest[];
}

/**
 * Makes sure that the features of all lists are in the workspace's cache and says where: what is missing is extracted
 * in one pass of the frozen ViT, with decoding hidden behind it.
 * @throws Failure for an image that can no longer be read, a full disk, or a backbone whose maps are not finite.
 */
export async function extractFeatures(
  workspace: Workspace,
  request: ExtractionRequest,
  options: TaskOptions = {},
): Promise<Extraction> {
  const started = performance.now();
  const gaps: Gap[] = [];
  for (const images of request.lists) {
    const folder = workspace.feature(featureKey(images, request.backbone));
    const missing: MapRequest[] = [];
    for (const map of request.maps.map(storedMap))
      if (!(await exists(join(folder, mapFileName(map))))) missing.push(map);
    const whole = missing.length === 0 && (await exists(join(folder, BASE_FILE)));
    const known = gaps.some((gap) => gap.folder === folder);
    if (!whole && !known && images.length > 0) gaps.push({ images, folder, maps: missing });
  }
  if (gaps.length > 0) await fill(request, gaps, options);
  const sets = await Promise.all(request.lists.map((images) => describe(workspace, request, images)));
  return { sets, seconds: gaps.length > 0 ? (performance.now() - started) / 1000 : 0 };
}

async function fill(request: ExtractionRequest, gaps: readonly Gap[], options: TaskOptions): Promise<void> {
  const { backbone, source } = request;
  const named = new Map(gaps.flatMap((gap) => gap.maps).map((map) => [mapName(map), map]));
  const maps = [...named.values()];
  const threads = request.threads ?? availableParallelism();
  const decoder = await startDecoder();
  try {
    const vit = await FrozenVit.open(backbone, maps, { threads });
    try {
      const total = gaps.reduce((sum, gap) => sum + gap.images.length, 0);
      let before = 0;
      for (const gap of gaps) {
        const report = (done: number) =>
          options.onProgress?.({ task: 'extract', done: before + done, total, unit: 'images' });
        await extractList({ backbone, source, gap, maps, vit, decoder, signal: options.signal, report });
        before += gap.images.length;
      }
    } finally {
      await vit.close();
    }
  } finally {
    await decoder.close();
  }
}

interface ListJob {
  backbone: Backbone;
  source: string;
  gap: Gap;
  maps: readonly MapRequest[];
  vit: FrozenVit;
  decoder: Decoder;
  signal: AbortSignal | undefined;
  report: (done: number) => void;
}

/** Thrown to start a list again with larger scales. */
class Overflow extends Error {}

async function extractList(job: ListJob): Promise<void> {
  let scales = await firstScales(job);
  for (;;) {
    try {
      await writeList(job, scales);
      return;
    } catch (error) {
      if (!(error instanceof Overflow)) throw error;
      scales = scales.map((scale) => scale * 16);
    }
  }
}

/** Scales that fit the first batch with room to spare. */
async function firstScales(job: ListJob): Promise<number[]> {
  const { maps, vit, gap } = job;
  let scales = maps.map(() => 1);
  const pixels = await decodeBatch(job, gap.images.slice(0, vit.batch));
  for (;;) {
    const batch = await vit.run(pixels, Math.min(vit.batch, gap.images.length), scales);
    const raised = raiseScales(batch, scales, maps);
    if (!raised) return scales;
    scales = raised;
  }
}

async function writeList(job: ListJob, scales: readonly number[]): Promise<void> {
  const { backbone, gap, maps, vit, signal, report } = job;
  const { tokens, width, prefix } = backbone.structure;
  const rows = gap.images.length;
  const writers: RowFileWriter[] = [];
  try {
    const wanted = new Set(gap.maps.map(mapName));
    const columns = mapColumns(tokens, width);
    for (const map of gap.maps)
      writers.push(await RowFileWriter.create(join(gap.folder, mapFileName(map)), columns, rows));
    const base = await RowFileWriter.create(join(gap.folder, BASE_FILE), baseColumns(width, prefix > 0), rows);
    writers.push(base);
    for await (const { first, count, pixels } of decodedBatches(job)) {
      signal?.throwIfAborted();
      const batch = await vit.run(pixels, count, scales);
      if (batch.maps.some(({ map }) => largestHalf(map) === Infinity)) throw new Overflow();
      let written = 0;
      for (const [index, map] of maps.entries()) {
        if (!wanted.has(mapName(map))) continue;
        const { map: halves, rowSums, rowSquareSums } = batch.maps[index]!;
        await writers[written++]!.write(first, count, {
          map: halves,
          row_sums: rowSums,
          row_square_sums: rowSquareSums,
        });
      }
      await base.write(first, count, baseRows(batch));
      report(first + count);
    }
    const provenance = {
      format: 'sidetune-features',
      backbone: backbone.name,
      backbone_sha256: backbone.sha256,
      onnxruntime: ORT_VERSION,
      device: 'cpu',
    };
    for (const [index, map] of gap.maps.entries()) {
      const scale = scales[maps.findIndex((each) => mapName(each) === mapName(map))]!;
      await writers[index]!.finish({ ...provenance, map: mapName(map), scale: String(scale) });
    }
    await base.finish(provenance);
    await writeFileAtomic(
      join(gap.folder, 'about.json'),
      `${JSON.stringify({ ...provenance, images: rows, source: job.source, preprocessing: backbone.preprocessing }, null, 2)}\n`,
    );
  } catch (error) {
    for (const writer of writers) await writer.abandon();
    throw error;
  }
}

function baseRows({ baseCls, baseMean }: TappedBatch): Record<string, Float32Array> {
  return baseCls ? { base_cls: baseCls, base_mean: baseMean } : { base_mean: baseMean };
}

/** Batches of pixels in order, the next ones being decoded while one is used. */
async function* decodedBatches(job: ListJob): AsyncGenerator<{ first: number; count: number; pixels: Float32Array }> {
  const ahead = 3;
  const { images } = job.gap;
  const size = job.vit.batch;
  const pending: Promise<Float32Array>[] = [];
  const decode = (first: number) => {
    const pixels = decodeBatch(job, images.slice(first, first + size));
    // Seen when its turn comes; until then a failure is not unhandled.
    pixels.catch(() => undefined);
    pending.push(pixels);
  };
  let next = 0;
  for (let first = 0; first < images.length; first += size) {
    while (pending.length < ahead && next < images.length) {
      decode(next);
      next += size;
    }
    yield { first, count: Math.min(size, images.length - first), pixels: await pending.shift()! };
  }
}

async function decodeBatch(
  { backbone, source, decoder }: ListJob,
  images: readonly DatasetImage[],
): Promise<Float32Array> {
  const { preprocessing } = backbone;
  const size = 3 * preprocessing.width * preprocessing.height;
  const pixels = new Float32Array(images.length * size);
  await Promise.all(
    images.map(async (image, index) => {
      const rgb = await decoder.decode(imagePath({ source }, image), preprocessing);
      normalizePixels(rgb, preprocessing, pixels, index * size);
    }),
  );
  return pixels;
}

async function describe(
  workspace: Workspace,
  { backbone, maps }: ExtractionRequest,
  images: readonly DatasetImage[],
): Promise<FeatureSet> {
  const folder = workspace.feature(featureKey(images, backbone));
  const { tokens, width, prefix } = backbone.structure;
  const described: FeatureSet = {
    images: images.length,
    tokens,
    width,
    maps: {},
    base: join(folder, BASE_FILE),
    hasCls: prefix > 0,
  };
  if (images.length === 0) return described;
  for (const map of maps) {
    const path = join(folder, mapFileName(map));
    const file = await RowFileReader.open(path);
    described.maps[mapName(map)] = { path, scale: Number(file.metadata.scale) };
    await file.close();
  }
  return described;
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

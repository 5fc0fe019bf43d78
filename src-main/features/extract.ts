import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { exists } from '../base/exists.ts';
import { peakRssBytes } from '../base/peak-memory.ts';
import type { TaskOptions } from '../base/progress.ts';
import type { Backbone } from '../backbone/catalogue.ts';
import { mapName, type MapRequest, type MapStorage } from '../backbone/surgery.ts';
import type { DatasetImage } from '../data/dataset.ts';
import { LateDecoder } from '../data/decode/late-decoder.ts';
import { sweepTemporaries } from '../workspace/sweep.ts';
import type { Workspace } from '../workspace/workspace.ts';
import { checkSpace } from './disk-space.ts';
import { withFolders } from './folder-locks.ts';
import {
  BASE_FILE,
  baseColumns,
  featureKey,
  mapColumns,
  mapFileName,
  storedMap,
  type CachedSet,
} from './feature-set.ts';
import { fetchFeatures } from './fetch-features.ts';
import { FrozenVit } from './frozen-vit.ts';
import { findHolders, heldPlaces } from './kept-rows.ts';
import { begunBytes, filesOf, type FeatureOrigin, type Gap } from './list-files.ts';
import type { TransferSum } from './served-vit.ts';
import { extractList } from './write-features.ts';
import { HEADER_RESERVE, rowBytesOf, RowFileReader } from './row-file.ts';

export interface ExtractionRequest {
  backbone: Backbone;
  /** Folder that the images' paths are relative to. */
  source: string;
  /** Lists whose features are wanted, for instance one for each split. */
  lists: readonly (readonly DatasetImage[])[];
  maps: readonly MapRequest[];
  /** Default: fp16. */
  storage?: MapStorage;
  threads?: number;
  /** Whether the base vectors are wanted too; see `keepsBase`. Default: they are. */
  base?: boolean;
}

export interface Extraction {
  /** In the order of the lists. */
  sets: CachedSet[];
  /** Seconds spent in extraction; 0 when everything was there. */
  seconds: number;
  /** Of them, those in which the ViT waited: for images, or for files to be written. */
  vitWaited: number;
  /** Peak resident memory of the process that held the ViT, bytes; null where nothing was extracted. */
  vitPeakRssBytes: number | null;
  /** What came from a server, if anything did. */
  transferred?: TransferSum;
}

/**
 * Makes sure that the features of all lists are in the workspace's cache and says where: what is missing is copied from
 * other lists that have the same images, or extracted in one pass of the frozen ViT, with decoding hidden behind it;
 * what another process is just extracting is waited for, and what an earlier one has begun is gone on with. Files that
 * are there stay as they are: a run may be training on them.
 * @throws Failure for an image that can no longer be read or has changed (`image-changed`), too little disk space
 * (`disk-full`), or a backbone whose maps are not finite (`non-finite`); the signal's reason.
 */
export async function extractFeatures(
  workspace: Workspace,
  request: ExtractionRequest,
  options: TaskOptions = {},
): Promise<Extraction> {
  const started = performance.now();
  const needed = await findGaps(workspace, request);
  let filled: Filled | undefined;
  if (needed.length > 0) {
    for (const { folder } of needed) await sweepTemporaries(folder);
    await checkSpace(workspace.features, await unwrittenBytes(request, needed));
    const folders = needed.map(({ folder }) => folder);
    filled = await withFolders(folders, options, async () => {
      // Another process may have filled them while this one waited.
      const gaps = await findGaps(workspace, request);
      for (const { folder } of gaps) await sweepTemporaries(folder);
      return gaps.length > 0 ? fill(workspace, request, gaps, options) : undefined;
    });
  }
  const sets = await Promise.all(request.lists.map((images) => describe(workspace, request, images)));
  const seconds = filled === undefined ? 0 : (performance.now() - started) / 1000;
  return { sets, seconds, vitWaited: 0, vitPeakRssBytes: null, ...filled };
}

/** What extraction would have to do. */
export interface Missing {
  /** Those that lack something. */
  lists: (readonly DatasetImage[])[];
  /** Images that would go through the ViT. */
  images: number;
  /** Bytes that would be written. */
  bytes: number;
  /** Of them, those that would be copied from other lists that have the same images. */
  copied: number;
}

export async function missingFeatures(workspace: Workspace, request: ExtractionRequest): Promise<Missing> {
  const gaps = await findGaps(workspace, request);
  const holders = await findHolders(workspace, gaps, originOf(request));
  const bytes = await unwrittenBytes(request, gaps);
  let images = 0;
  let copied = 0;
  for (const [index, gap] of gaps.entries()) {
    const held = heldPlaces(holders[index]!).size;
    images += gap.images.length - held;
    copied += held * rowBytesIn(request, gap);
  }
  return { lists: gaps.map((gap) => gap.images), images, bytes, copied: Math.min(copied, bytes) };
}

/** All files that a request needs in the cache, whether or not they are there, and the images that each is to hold. */
export function cachedFiles(
  workspace: Workspace,
  { backbone, lists, maps, storage = 'fp16', base = true }: ExtractionRequest,
): { folder: string; path: string; images: number }[] {
  const names = [...storedMaps(maps).map(mapFileName), ...(base ? [BASE_FILE] : [])];
  const counts = new Map(
    lists.map((images) => [workspace.feature(featureKey(images, backbone, storage)), images.length]),
  );
  return [...counts].flatMap(([folder, images]) =>
    images === 0 ? [] : names.map((name) => ({ folder, path: join(folder, name), images })),
  );
}

/** Each that is stored, once. */
function storedMaps(maps: readonly MapRequest[]): MapRequest[] {
  return [...new Map(maps.map(storedMap).map((map) => [mapName(map), map])).values()];
}

async function findGaps(
  workspace: Workspace,
  { backbone, lists, maps, storage = 'fp16', base: wantsBase = true }: ExtractionRequest,
): Promise<Gap[]> {
  const gaps: Gap[] = [];
  const wanted = storedMaps(maps);
  for (const images of lists) {
    const folder = workspace.feature(featureKey(images, backbone, storage));
    if (images.length === 0 || gaps.some((gap) => gap.folder === folder)) continue;
    const missing: MapRequest[] = [];
    for (const map of wanted) if (!(await exists(join(folder, mapFileName(map))))) missing.push(map);
    const base = wantsBase && !(await exists(join(folder, BASE_FILE)));
    if (missing.length > 0 || base) gaps.push({ images, folder, maps: missing, base });
  }
  return gaps;
}

/** Bytes that gaps are to have on the disk and do not have yet. */
async function unwrittenBytes(request: ExtractionRequest, gaps: readonly Gap[]): Promise<number> {
  let bytes = 0;
  for (const gap of gaps) {
    const whole = filesOf(gap).length * HEADER_RESERVE + gap.images.length * rowBytesIn(request, gap);
    bytes += whole - (await begunBytes(gap));
  }
  return Math.max(0, bytes);
}

/** Bytes of an image in all files that a gap wants. */
function rowBytesIn({ backbone, storage }: ExtractionRequest, { maps, base }: Gap): number {
  const { tokens, width, prefix } = backbone.structure;
  const ofBase = base ? rowBytesOf(baseColumns(width, prefix > 0)) : 0;
  return maps.length * rowBytesOf(mapColumns(tokens, width, storage)) + ofBase;
}

function originOf({ backbone, source, storage = 'fp16' }: ExtractionRequest): FeatureOrigin {
  return { backbone, source, storage };
}

type Filled = Pick<Extraction, 'vitWaited' | 'vitPeakRssBytes' | 'transferred'>;

async function fill(
  workspace: Workspace,
  request: ExtractionRequest,
  gaps: readonly Gap[],
  options: TaskOptions,
): Promise<Filled> {
  const origin = originOf(request);
  const { backbone, storage } = origin;
  const maps = [...new Map(gaps.flatMap((gap) => gap.maps).map((map) => [mapName(map), map])).values()];
  const holders = await findHolders(workspace, gaps, origin);
  if (backbone.served)
    return {
      vitWaited: 0,
      vitPeakRssBytes: peakRssBytes(),
      transferred: await fetchFeatures(origin, gaps, holders, maps, options),
    };
  const threads = request.threads ?? availableParallelism();
  const decoder = new LateDecoder();
  let opened: Promise<FrozenVit> | undefined;
  const vit = () => {
    decoder.begin();
    return (opened ??= FrozenVit.open(backbone, maps, { threads, storage, filled: true }));
  };
  try {
    const total = gaps.reduce((sum, gap) => sum + gap.images.length, 0);
    let before = 0;
    for (const [index, gap] of gaps.entries()) {
      const report = (done: number) =>
        options.onProgress?.({ task: 'extract', done: before + done, total, unit: 'images' });
      const job = { origin, gap, maps, holders: holders[index]!, vit, threads, decoder };
      await extractList({ ...job, signal: options.signal, report });
      before += gap.images.length;
    }
    const used = await opened;
    return { vitWaited: used?.idleSeconds ?? 0, vitPeakRssBytes: (await used?.peakRssBytes()) ?? null };
  } finally {
    await (await opened?.catch(() => undefined))?.close();
    await decoder.close();
  }
}

async function describe(
  workspace: Workspace,
  { backbone, maps, storage = 'fp16' }: ExtractionRequest,
  images: readonly DatasetImage[],
): Promise<CachedSet> {
  const folder = workspace.feature(featureKey(images, backbone, storage));
  const { tokens, width, prefix } = backbone.structure;
  const described: CachedSet = {
    images: images.length,
    tokens,
    width,
    storage,
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

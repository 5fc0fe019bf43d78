import type { TaskOptions } from '../base/progress.ts';
import { mapName, type MapRequest } from '../backbone/surgery.ts';
import type { DatasetImage } from '../data/dataset.ts';
import type { Workspace } from '../workspace/workspace.ts';
import { extractFeatures, type ExtractionRequest } from './extract.ts';
import type { CacheFormat, FeatureSet, LiveSet } from './feature-set.ts';
import { firstScales } from './live-features.ts';

export interface FeatureRequest extends Omit<ExtractionRequest, 'storage'> {
  cache: CacheFormat;
  threads: number;
  /** Without a cache: the scales that the run began with, by map; chosen on the first list where there are none. */
  scales?: readonly number[];
}

export interface ProvidedFeatures {
  /** In the order of the lists. */
  sets: FeatureSet[];
  /** Seconds spent in extraction; 0 when everything was there or nothing is kept. */
  seconds: number;
  /** Peak resident memory of the process that held the ViT, bytes; null where nothing was extracted. */
  vitPeakRssBytes: number | null;
}

/** The features of all lists, in the cache once this is done, or to be had from the ViT. Failures of `extractFeatures`. */
export async function provideFeatures(
  workspace: Workspace,
  { cache, ...request }: FeatureRequest,
  options: TaskOptions = {},
): Promise<ProvidedFeatures> {
  if (cache !== 'none') return extractFeatures(workspace, { ...request, storage: cache }, options);
  const { lists, maps } = request;
  const begun = request.scales ?? (await firstScales(liveSet(workspace, request, lists[0]!), maps));
  return {
    sets: lists.map((images) => liveSet(workspace, { ...request, scales: begun }, images)),
    seconds: 0,
    vitPeakRssBytes: null,
  };
}

function liveSet(
  workspace: Workspace,
  { backbone, source, maps, scales, threads }: Omit<FeatureRequest, 'cache'>,
  images: readonly DatasetImage[],
): LiveSet {
  const { tokens, width, prefix } = backbone.structure;
  const scaleOf = (_: MapRequest, index: number) => ({ scale: scales?.[index] ?? 1 });
  return {
    storage: 'none',
    images: images.length,
    tokens,
    width,
    hasCls: prefix > 0,
    maps: Object.fromEntries(maps.map((map, index) => [mapName(map), scaleOf(map, index)])),
    source,
    files: [...images],
    workspace: workspace.root,
    backbone: backbone.name,
    threads,
  };
}

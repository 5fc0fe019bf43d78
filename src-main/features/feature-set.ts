import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { Backbone } from '../backbone/catalogue.ts';
import { mapName, type MapRequest, type MapStorage } from '../backbone/surgery.ts';
import { contentHash, datasetImageSchema, type DatasetImage } from '../data/dataset.ts';
import { rowBytesOf, type RowTensor } from './row-file.ts';

const shared = {
  images: z.int(),
  tokens: z.int(),
  width: z.int(),
  hasCls: z.boolean(),
};

/** Where the cached features of one list of images lie. */
const cachedSetSchema = z.object({
  ...shared,
  storage: z.enum(['fp16', 'int8']),
  /** By map name, such as `P1_3` or `S_8`. */
  maps: z.record(z.string(), z.object({ path: z.string(), scale: z.number().positive() })),
  base: z.string(),
});
export type CachedSet = z.infer<typeof cachedSetSchema>;

/** What the features of one list of images are made from, whenever they are read. */
const liveSetSchema = z.object({
  ...shared,
  storage: z.literal('none'),
  maps: z.record(z.string(), z.object({ scale: z.number().positive() })),
  /** Folder that the images' paths are relative to. */
  source: z.string(),
  files: z.array(datasetImageSchema),
  /** Root of the workspace that has the backbone of this name. */
  workspace: z.string(),
  backbone: z.string(),
  threads: z.int().min(1),
});
export type LiveSet = z.infer<typeof liveSetSchema>;

/** The features of one list of images: plain data, for the process that trains on them. */
export const featureSetSchema = z.discriminatedUnion('storage', [cachedSetSchema, liveSetSchema]);
export type FeatureSet = z.infer<typeof featureSetSchema>;

/** How features are kept between epochs; `none` has the ViT run in each, and rounds as fp16 does. */
export const cacheFormatSchema = z.enum(['fp16', 'int8', 'none']);
export type CacheFormat = z.infer<typeof cacheFormatSchema>;

/** How maps are rounded under a cache format. */
export function roundingOf(cache: CacheFormat): MapStorage {
  return cache === 'int8' ? 'int8' : 'fp16';
}

/** Folder name of the features of these images: one for each content, order, backbone, preprocessing and storage. */
export function featureKey(images: readonly DatasetImage[], backbone: Backbone, storage: MapStorage): string {
  return hashOf({ images: contentHash(images), ...madeWith(backbone, storage) });
}

/** A hash of all that an image's features depend on, beside the image. */
export function featureRecipe(backbone: Backbone, storage: MapStorage): string {
  return hashOf(madeWith(backbone, storage));
}

function madeWith({ sha256, preprocessing }: Backbone, storage: MapStorage) {
  return { sha256, preprocessing, view: 'whole', storage, version: 2 };
}

function hashOf(what: object): string {
  return createHash('sha256').update(JSON.stringify(what)).digest('hex').slice(0, 24);
}

/** Whether the base vectors are kept beside the maps: of a backbone that is on a server, only where they are read. */
export function keepsBase({ served }: Backbone, { usesBase }: { usesBase: boolean }): boolean {
  return served === undefined || usesBase;
}

/** The map that is stored for another: S_k is P_k of group 1, so MIET finds what LAST has left. */
export function storedMap(map: MapRequest): MapRequest {
  return map.kind === 'S' ? { kind: 'P', group: 1, index: map.index } : map;
}

export function mapFileName(map: MapRequest): string {
  return `${mapName(storedMap(map))}.safetensors`;
}

export const BASE_FILE = 'base.safetensors';

/**
 * Columns of a map's file: the map as stored (divided by the scale), and sums over the width of what that stands for.
 * In 8 bits it is stored as codes, to be multiplied by the step of their row.
 */
export function mapColumns(tokens: number, width: number, storage: MapStorage = 'fp16'): RowTensor[] {
  const stored: RowTensor[] =
    storage === 'fp16'
      ? [{ name: 'map', dtype: 'F16', shape: [tokens, width] }]
      : [
          { name: 'row_steps', dtype: 'F16', shape: [tokens] },
          { name: 'codes', dtype: 'I8', shape: [tokens, width] },
        ];
  return [
    { name: 'row_sums', dtype: 'F32', shape: [tokens] },
    { name: 'row_square_sums', dtype: 'F32', shape: [tokens] },
    ...stored,
  ];
}

/** Columns of the base file: z_L pooled, unrounded. */
export function baseColumns(width: number, hasCls: boolean): RowTensor[] {
  const column = (name: string): RowTensor => ({ name, dtype: 'F32', shape: [width] });
  return hasCls ? [column('base_cls'), column('base_mean')] : [column('base_mean')];
}

/** Bytes that the cache holds for an image when a method reads `maps` maps: base vectors and checksums included. */
export function featureBytesPerImage(
  maps: number,
  { tokens, width, hasCls, storage }: Pick<FeatureSet, 'tokens' | 'width' | 'hasCls' | 'storage'>,
): number {
  if (storage === 'none') return 0;
  return maps * rowBytesOf(mapColumns(tokens, width, storage)) + rowBytesOf(baseColumns(width, hasCls));
}

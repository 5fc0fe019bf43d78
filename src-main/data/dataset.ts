import { createHash } from 'node:crypto';
import { resolve } from 'node:path';
import { z } from 'zod';

export const splitNames = ['train', 'val', 'test'] as const;
export type SplitName = (typeof splitNames)[number];

/** Something about the user's files that they should know; the import went on without or despite it. */
export const problemSchema = z.object({ kind: z.string(), path: z.string(), message: z.string() });
export type Problem = z.infer<typeof problemSchema>;

export const datasetFormatSchema = z.enum(['folder', 'lists']);
export type DatasetFormat = z.infer<typeof datasetFormatSchema>;

export const datasetImageSchema = z.object({
  /** Relative to the dataset's source with "/" between segments, or absolute; see `imagePath`. */
  path: z.string(),
  /** Index of its class. */
  label: z.int().nonnegative(),
  split: z.enum(splitNames),
  bytes: z.number(),
  mtimeMs: z.number(),
  sha256: z.string(),
});
export type DatasetImage = z.infer<typeof datasetImageSchema>;

/** Labelled images that lie in a folder of the user's; single label, read-only. */
export interface Dataset {
  name: string;
  /** Absolute path of the folder that was imported. */
  source: string;
  format: DatasetFormat;
  /** Class names; an image's label is an index into them. */
  classes: string[];
  images: DatasetImage[];
  problems: Problem[];
}

/** What `datasets add|show` print. */
export interface DatasetSummary {
  name: string;
  classes: string[];
  /** Images in each split that has any. */
  splits: Partial<Record<SplitName, number>>;
  problems: Problem[];
}

/** The absolute path of an image. */
export function imagePath(dataset: Pick<Dataset, 'source'>, image: Pick<DatasetImage, 'path'>): string {
  return resolve(dataset.source, image.path);
}

/** The images of one split, in the dataset's order. */
export function imagesOf(dataset: Dataset, split: SplitName): DatasetImage[] {
  return dataset.images.filter((image) => image.split === split);
}

export function datasetSummary(dataset: Dataset): DatasetSummary {
  const { name, classes, problems } = dataset;
  return { name, classes, splits: countSplits(dataset.images), problems };
}

export function countSplits(images: readonly DatasetImage[]): DatasetSummary['splits'] {
  const splits: DatasetSummary['splits'] = {};
  for (const split of splitNames) {
    const count = images.filter((image) => image.split === split).length;
    if (count > 0) splits[split] = count;
  }
  return splits;
}

/** A hash of the images' contents in their order: what features of these images may be kept under. */
export function contentHash(images: readonly Pick<DatasetImage, 'sha256'>[]): string {
  const hash = createHash('sha256');
  for (const image of images) hash.update(`${image.sha256}\n`);
  return hash.digest('hex');
}

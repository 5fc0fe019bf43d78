import { createHash } from 'node:crypto';
import { join, resolve } from 'node:path';
import { z } from 'zod';
import { imageReferenceSchema, type ImageReference } from './image-reference.ts';

export const splitNames = ['train', 'val', 'test'] as const;
export type SplitName = (typeof splitNames)[number];

/** Something about the user's files that they should know; the import went on without or despite it. */
export const problemSchema = z.object({
  kind: z.string(),
  path: z.string(),
  message: z.string(),
  /** Places in the dataset's list of the pictures that it is about, where they are in it. */
  images: z.array(z.int().nonnegative()).optional(),
  /** Name of the class that it is about. */
  class: z.string().optional(),
});
export type Problem = z.infer<typeof problemSchema>;

export const datasetFormatSchema = z.enum(['folder', 'lists', 'csv', 'parquet', 'idx']);
export type DatasetFormat = z.infer<typeof datasetFormatSchema>;

export const datasetImageSchema = z.object({
  /** The path is relative to the dataset's source with "/" between segments, or absolute; see `locate`. */
  ...imageReferenceSchema.shape,
  /** Index of its class. */
  label: z.int().nonnegative(),
  split: z.enum(splitNames),
  /** Of the file that it is or is packed in, as is the time. */
  bytes: z.number(),
  mtimeMs: z.number(),
  /** Of its own content; of a view, that of the whole is in there. */
  sha256: z.string(),
});
export type DatasetImage = z.infer<typeof datasetImageSchema> & {
  /** Whether an edit has taken it out: it keeps its place in the list, and nobody trains on it. */
  excluded?: true;
};

/** Labelled images that lie where the user keeps them, or copies of those in the workspace; single label, read-only. */
export interface Dataset {
  name: string;
  /** Absolute path of the folder that the images lie in: the one that was imported, or that of its copy. */
  source: string;
  /** Absolute path of the folder that was imported; absent where that is the source. */
  copyOf?: string;
  /** Name of the one file in the imported folder that was meant; absent where it was the folder. */
  file?: string;
  format: DatasetFormat;
  /** Class names; an image's label is an index into them. */
  classes: string[];
  images: DatasetImage[];
  problems: Problem[];
  /** Lines of the log of edits that are in it; absent in what was imported. */
  edits?: number;
  /** Classes that edits have left without images. Labels from `classes.length` on are theirs; only excluded images have them. */
  gone?: string[];
}

/** What `datasets add|show` print. */
export interface DatasetSummary {
  name: string;
  classes: string[];
  /** Images in each split that has any. */
  splits: Partial<Record<SplitName, number>>;
  problems: Problem[];
  /** Images that edits have taken out, where there are any; they are not in `splits`. */
  excluded?: number;
}

/** What a user would give to import a dataset again: the folder, or the file in it. */
export function pathOf({ source, copyOf = source, file }: Pick<Dataset, 'source' | 'copyOf' | 'file'>): string {
  return file === undefined ? copyOf : join(copyOf, file);
}

/** Whether size and time are those of an image's file. The time that is set on a copy is true to the microsecond. */
export function isSameFile(image: Pick<DatasetImage, 'bytes' | 'mtimeMs'>, bytes: number, mtimeMs: number): boolean {
  return image.bytes === bytes && Math.abs(image.mtimeMs - mtimeMs) < 0.01;
}

/** Where an image lies, with the absolute path. */
export function locate({ source }: Pick<Dataset, 'source'>, { path, entry, view }: ImageReference): ImageReference {
  return {
    path: resolve(source, path),
    ...(entry === undefined ? {} : { entry }),
    ...(view === undefined ? {} : { view }),
  };
}

/** The images of one split, in the dataset's order, without those that are excluded. */
export function imagesOf(dataset: Dataset, split: SplitName): DatasetImage[] {
  return dataset.images.filter((image) => image.split === split && !image.excluded);
}

export function datasetSummary(dataset: Dataset): DatasetSummary {
  const { name, classes, images, problems } = dataset;
  const excluded = images.reduce((count, image) => count + (image.excluded ? 1 : 0), 0);
  return { name, classes, splits: countSplits(images), problems, ...(excluded > 0 ? { excluded } : {}) };
}

/** The name of an image's class, be it one that is gone. */
export function classOf({ classes, gone = [] }: Pick<Dataset, 'classes' | 'gone'>, label: number): string {
  return classes[label] ?? gone[label - classes.length] ?? '';
}

export function countSplits(images: readonly DatasetImage[]): DatasetSummary['splits'] {
  const splits: DatasetSummary['splits'] = {};
  for (const split of splitNames) {
    const count = images.filter((image) => image.split === split && !image.excluded).length;
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

/** A hash of the images' contents and labels in their order. */
export function labelledHash(images: readonly Pick<DatasetImage, 'sha256' | 'label'>[]): string {
  const labels = images.map(({ label }) => label).join(' ');
  return createHash('sha256')
    .update(`${contentHash(images)} ${labels}`)
    .digest('hex');
}

import { readdir } from 'node:fs/promises';
import type { DatasetFormat, Problem, SplitName } from '../dataset.ts';
import type { ImageReference } from '../image-reference.ts';

/** What a user points at: a folder, or one file in it. */
export interface Place {
  /** Absolute. */
  root: string;
  /** Name of the file; undefined where the whole folder is meant. */
  file?: string;
}

/** An image that a layout names, not yet looked at; its path is relative to the root with "/" between, or absolute. */
export interface FoundImage extends ImageReference {
  label: number;
  /** Undefined where the layout leaves it open: train or val, to be dealt. */
  split: SplitName | undefined;
}

/** What a layout says, before any image is opened. */
export interface Scan {
  classes: string[];
  images: FoundImage[];
  problems: Problem[];
  /** What the user may not expect of a layout that was not asked for. */
  remark?: string;
}

/** One way in which people keep labelled images. */
export interface Layout {
  readonly format: DatasetFormat;
  /** Whether the place looks like this layout. */
  recognises(place: Place): Promise<boolean>;
  /** @throws Failure `dataset` where the place is not in this layout, or contradicts itself */
  scan(place: Place, signal?: AbortSignal): Promise<Scan>;
}

const splitWords: Record<string, SplitName> = {
  train: 'train',
  training: 'train',
  val: 'val',
  valid: 'val',
  validation: 'val',
  dev: 'val',
  test: 'test',
  testing: 'test',
};

/** The split that people mean by a word, whatever its case. */
export function splitOf(word: string): SplitName | undefined {
  const folded = word.toLowerCase();
  return Object.hasOwn(splitWords, folded) ? splitWords[folded] : undefined;
}

/** Names of the folders in a folder that say no split, without hidden ones. */
export async function plainFolders(root: string): Promise<string[]> {
  const entries = await readdir(root, { withFileTypes: true });
  return entries
    .filter((entry) => entry.isDirectory() && !entry.name.startsWith('.') && splitOf(entry.name) === undefined)
    .map(({ name }) => name);
}

/** Without a val split, what is in train is dealt into train and val. */
export function openTrainWithoutVal(images: readonly FoundImage[]): FoundImage[] {
  if (images.some(({ split }) => split === 'val')) return [...images];
  return images.map((image) => (image.split === 'train' ? { ...image, split: undefined } : image));
}

import type { DatasetFormat, Problem, SplitName } from '../dataset.ts';
import type { ImageReference } from '../image-reference.ts';

/** An image that a layout names, not yet looked at; its path is relative to the root with "/" between segments, or absolute. */
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
}

/** One way in which people keep labelled images in a folder. */
export interface Layout {
  readonly format: DatasetFormat;
  /** Whether the folder looks like this layout. */
  recognises(root: string): Promise<boolean>;
  /** @throws Failure `dataset` where the folder is not in this layout, or contradicts itself */
  scan(root: string, signal?: AbortSignal): Promise<Scan>;
}

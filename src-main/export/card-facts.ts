import type { Preprocessing } from '../backbone/preprocessing.ts';
import type { BaseMap, TokenLayout } from '../methods/network.ts';
import type { Score } from '../training/run-folder.ts';
import type { Settings } from '../training/settings.ts';

/** What an export says about itself, in its card and in its models' metadata. */
export interface Card {
  run: string;
  /** When the run was started, ISO 8601. */
  created: string;
  dataset: string;
  classes: readonly string[];
  settings: Settings;
  /** Trained parameters without the head, and those of the head. */
  parameters: number;
  headParameters: number;
  /** The epoch whose parameters these are: the best on val, or the last without val; null where nobody wrote it down. */
  epoch: number | null;
  /** Epochs that were trained: fewer than asked for where training stopped early. */
  epochsDone: number;
  val: Score | null;
  test: Score | null;
  /** `batch` is the number of images that it takes at a time; null for any. */
  backbone: { name: string; sha256: string; batch: number | null };
  preprocessing: Preprocessing;
  layout: TokenLayout;
  maps: readonly BaseMap[];
  usesBase: boolean;
  scales: readonly number[];
  /** Whether weights are kept as float16. */
  half: boolean;
}

/** Models that an export may hold. */
export type Form = 'adaptor' | 'merged';

/** An image whose most likely class is another one in the exported model; labels are class names. */
export interface ChangedImage {
  /** Absolute path. */
  image: string;
  from: string;
  to: string;
  /** Of the app's logits: the largest less the second largest. */
  margin: number;
}

/** How far an exported model is from the app's own predictions on `images` images. `top1Changes` counts `changed`. */
export interface FormParity {
  images: number;
  maxAbsLogit: number;
  top1Changes: number;
  /** What `maxAbsLogit` may be, and a margin has to be below where the top-1 changed. */
  bound: number;
  changed: ChangedImage[];
}

export type Parities = Partial<Record<Form, FormParity>>;

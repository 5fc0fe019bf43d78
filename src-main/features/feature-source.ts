import type { MapRequest } from '../backbone/surgery.ts';
import type { FeatureSet } from './feature-set.ts';

/** What of the features a program reads: its maps, with or without row sums, and which base vector if any. */
export interface FeatureNeeds {
  maps: readonly MapRequest[];
  rowSums: boolean;
  base: 'cls' | 'mean' | null;
}

/** Buffers of a batch, named as `training/programs.ts` names its inputs. */
export type FeatureBuffers = Record<string, Float32Array | Uint16Array>;

/** Where batches of features come from; nothing but the batch is held. */
export interface FeatureSource {
  /** Scales of the maps, in order. */
  readonly scales: readonly number[];
  /** Buffers for `batch` images; reused from batch to batch. */
  allocate(batch: number): FeatureBuffers;
  /**
   * Puts the features of images `rows` into the first places of the buffers. Places beyond keep what they held:
   * padding, to be given no weight. One call at a time.
   * @throws Failure `damaged-features`; of features that are not kept, whatever images or the ViT fail with
   */
  read(rows: ArrayLike<number>, buffers: FeatureBuffers): Promise<void>;
  close(): Promise<void>;
}

/** @see FeatureSource.allocate */
export function allocateFeatures(
  { tokens, width }: Pick<FeatureSet, 'tokens' | 'width'>,
  { maps, rowSums, base }: FeatureNeeds,
  batch: number,
): FeatureBuffers {
  const buffers: FeatureBuffers = {};
  maps.forEach((_, index) => {
    buffers[`map_${index}`] = new Uint16Array(batch * tokens * width);
    if (!rowSums) return;
    buffers[`row_sums_${index}`] = new Float32Array(batch * tokens);
    buffers[`row_square_sums_${index}`] = new Float32Array(batch * tokens);
  });
  if (base) buffers.base = new Float32Array(batch * width);
  return buffers;
}

import { argMax } from '../training/metrics.ts';
import type { Form } from './card-facts.ts';

/** What two sets of logits may differ by: so much, or so much of the largest in-app logit. */
export type Tolerance = { absolute: number } | { ofLargestLogit: number };

/** Adaptor on the features that the app itself read. */
export const ADAPTOR_TOLERANCE: Tolerance = { absolute: 1e-4 };
/** Merged model from the pixels on. */
export const MERGED_TOLERANCE: Tolerance = { ofLargestLogit: 1e-3 };
/** Either with weights rounded to float16, which has eleven binary digits. */
export const HALF_TOLERANCE: Tolerance = { ofLargestLogit: 1e-2 };

export function toleranceOf(form: Form, half: boolean): Tolerance {
  if (half) return HALF_TOLERANCE;
  return form === 'adaptor' ? ADAPTOR_TOLERANCE : MERGED_TOLERANCE;
}

export function toleranceInWords(tolerance: Tolerance): string {
  return 'absolute' in tolerance ? `${tolerance.absolute}` : `${tolerance.ofLargestLogit} of the largest logit`;
}

/** An image whose most likely class is another one in the exported model. */
export interface Top1Change {
  index: number;
  from: number;
  to: number;
  /** Of the in-app logits: the largest less the second largest. */
  margin: number;
}

export interface Parity {
  images: number;
  /** Largest absolute difference of two logits; NaN or infinite where one of them is. */
  maxAbsLogit: number;
  top1Changes: Top1Change[];
  /** The tolerance in logits. */
  bound: number;
  /** No difference above the bound, and no top-1 changed but where the margin is smaller than the bound. */
  holds: boolean;
}

/**
 * Compares an exported model's logits with the app's own, both [images, classes].
 * @throws RangeError when the two do not have the same whole number of rows.
 */
export function compareLogits(
  inApp: Float32Array,
  exported: Float32Array,
  classes: number,
  tolerance: Tolerance,
): Parity {
  if (inApp.length !== exported.length || inApp.length % classes !== 0)
    throw new RangeError(
      `Logits of ${classes} classes should come in rows of as many: ${inApp.length} and ${exported.length} values were given.`,
    );
  let maxAbsLogit = 0;
  let largest = 0;
  for (let i = 0; i < inApp.length; i++) {
    // Equal infinities have no difference, and are no agreement either: NaN, which then stays.
    maxAbsLogit = Math.max(maxAbsLogit, Math.abs(inApp[i]! - exported[i]!));
    largest = Math.max(largest, Math.abs(inApp[i]!));
  }
  const images = inApp.length / classes;
  const bound = 'absolute' in tolerance ? tolerance.absolute : tolerance.ofLargestLogit * largest;
  const top1Changes: Top1Change[] = [];
  for (let index = 0; index < images; index++) {
    const row = inApp.subarray(index * classes, (index + 1) * classes);
    const from = argMax(row);
    const to = argMax(exported.subarray(index * classes, (index + 1) * classes));
    if (from !== to) top1Changes.push({ index, from, to, margin: marginOf(row, from) });
  }
  const holds = maxAbsLogit <= bound && top1Changes.every(({ margin }) => margin < bound);
  return { images, maxAbsLogit, top1Changes, bound, holds };
}

function marginOf(row: Float32Array, top: number): number {
  let second = -Infinity;
  for (let i = 0; i < row.length; i++) if (i !== top) second = Math.max(second, row[i]!);
  return row[top]! - second;
}

import { Failure } from '../base/failure.ts';
import { mapName, type MapRequest } from '../backbone/surgery.ts';
import { fromHalf } from '../engine/half.ts';
import type { TappedBatch } from './tapped-batch.ts';

/** Largest magnitude that a map's first batch may show: an eighth of what half precision holds, as later images may differ. */
export const HEADROOM = 8192;
/** Largest finite half-precision number. */
export const LARGEST_HALF = 65504;
/** A map whose values still overflow when divided by this is not a feature map but a broken model. */
const LARGEST_SCALE = 2 ** 40;

/** Largest magnitude of half-precision values; infinite where one overflowed. NaN counts as infinite. */
export function largestHalf(halves: Uint16Array): number {
  let largest = 0;
  for (const half of halves) {
    const magnitude = half & 0x7fff;
    if (magnitude > largest) largest = magnitude;
  }
  return largest >= 0x7c00 ? Infinity : fromHalf(largest);
}

/**
 * Scales for a batch that was run with `scales`: those whose maps exceed `headroom`, raised by a power of two.
 * @returns undefined when all fit
 * @throws Failure `non-finite` for a map that no scale makes finite, and for base vectors that are not.
 */
export function raiseScales(
  batch: TappedBatch,
  scales: readonly number[],
  maps: readonly MapRequest[],
  headroom = HEADROOM,
): number[] | undefined {
  // What is not a number in one block stays so in all that follow, and no scale helps.
  if (![batch.baseMean, batch.baseCls ?? []].every(isFinite)) throw notFinite('output');
  const next = scales.map((scale, index) => {
    const { map, rowSquareSums } = batch.maps[index]!;
    if (noLargerThan(headroom * scale, rowSquareSums)) return scale;
    const largest = largestHalf(map);
    if (largest <= headroom) return scale;
    const factor = Number.isFinite(largest) ? 2 ** Math.ceil(Math.log2(largest / headroom)) : 16;
    if (scale * factor > LARGEST_SCALE) throw notFinite(`feature map ${mapName(maps[index]!)}`);
    return scale * factor;
  });
  return next.some((scale, index) => scale !== scales[index]) ? next : undefined;
}

/**
 * Whether no value of a map can exceed `bound`, by its rows' sums of squares alone: there are few of them. Maybe not is
 * said too where they are not numbers.
 */
function noLargerThan(bound: number, rowSquareSums: Float32Array): boolean {
  // The sums are rounded themselves.
  const most = 0.999 * bound ** 2;
  return rowSquareSums.every((sum) => sum <= most);
}

const isFinite = (values: ArrayLike<number>): boolean => Array.prototype.every.call(values, Number.isFinite);

function notFinite(what: string): Failure {
  return new Failure(
    'non-finite',
    `The backbone's ${what} is not finite: the model is damaged or not made for this preprocessing.`,
  );
}

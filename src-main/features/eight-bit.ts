import { fromHalf, toHalf } from '../engine/half.ts';

/** By a step's half-precision bits: those of its multiples by -128 .. 127. Steps have four significant bits, so they are few. */
const multiples = new Map<number, Uint16Array>();

/**
 * A map from its 8-bit codes: code * step, exactly, in half-precision bits.
 * @param codes [rows, width]
 * @param rowSteps [rows], half precision
 * @param into [rows, width]
 */
export function restoreRows(codes: Int8Array, rowSteps: Uint16Array, into: Uint16Array): void {
  const width = codes.length / rowSteps.length;
  for (let row = 0; row < rowSteps.length; row++) {
    const table = multiplesOf(rowSteps[row]!);
    const end = (row + 1) * width;
    for (let i = row * width; i < end; i++) into[i] = table[codes[i]! + 128]!;
  }
}

function multiplesOf(step: number): Uint16Array {
  let table = multiples.get(step);
  if (!table) {
    table = Uint16Array.from({ length: 256 }, (_, index) => toHalf((index - 128) * fromHalf(step)));
    multiples.set(step, table);
  }
  return table;
}

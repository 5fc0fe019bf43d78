import { expect, it } from 'vitest';
import { fromHalf, halvesToFloats, toHalf } from '../../../src-main/engine/half.ts';
import { restoreRows } from '../../../src-main/features/eight-bit.ts';

it('restores each row by its own step, exactly', () => {
  // Nine sixteenths of a power of two: as many significant bits as a step may have; and the smallest step there is.
  const steps = [9 / 16, 2 ** -21, 15 * 2 ** 5];
  const codes = Int8Array.from({ length: 3 * 255 }, (_, index) => (index % 255) - 127);
  const into = new Uint16Array(codes.length);
  restoreRows(codes, Uint16Array.from(steps, toHalf), into);
  expect(fromHalf(toHalf(steps[2]!))).toBe(480);
  expect(halvesToFloats(into)).toEqual(
    Float32Array.from(codes, (code, index) => code * steps[Math.floor(index / 255)]!),
  );
});

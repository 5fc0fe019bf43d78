import { describe, expect, it } from 'vitest';
import { coverage, hollowed, place, radial, stroke } from '../../../resources/backbone/pretraining/outline.ts';
import type { Outline } from '../../../resources/backbone/pretraining/outline.ts';

const SIDE = 32;
const area = (outline: Outline, scale: number, angle = 0.3): number => {
  const [cos, sin] = [scale * Math.cos(angle), scale * Math.sin(angle)];
  const placed = place(outline, { a: cos, b: -sin, c: sin, d: cos, x: 16.3, y: 15.8 });
  return coverage(placed, SIDE).reduce((sum, share) => sum + share, 0);
};

describe('coverage', () => {
  it('is the area of what is inside', () => {
    expect(area([radial(() => 1, 4)], 10)).toBeCloseTo(2 * 10 ** 2, 0);
    expect(area([radial(() => 1, 200)], 10)).toBeCloseTo(Math.PI * 10 ** 2, 0);
  });

  it('counts what overlaps once, and leaves a hole out', () => {
    const bar = stroke(
      [
        [-1, 0],
        [1, 0],
      ],
      0.4,
    );
    const plus = bar.concat(
      stroke(
        [
          [0, -1],
          [0, 1],
        ],
        0.4,
      ),
    );
    expect(area(bar, 8)).toBeCloseTo(2.4 * 0.4 * 8 ** 2, 0);
    expect(area(plus, 8)).toBeCloseTo((2 * 2.4 * 0.4 - 0.4 ** 2) * 8 ** 2, 0);
    expect(area(hollowed([radial(() => 1, 200)], 0.6), 12)).toBeCloseTo(Math.PI * 12 ** 2 * (1 - 0.36), 0);
  });

  it('is exact along a row, and clipped at the rims', () => {
    const square: Outline = [[-3, 1, 2.25, 1, 2.25, 2, -3, 2]];
    const covered = coverage(square, 4);
    expect([...covered.subarray(4, 8)]).toEqual([1, 1, 0.25, 0]);
    expect(covered.reduce((sum, share) => sum + share, 0)).toBe(2.25);
  });
});

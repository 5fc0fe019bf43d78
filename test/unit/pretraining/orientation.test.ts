import { describe, expect, it } from 'vitest';
import { orientationOf } from '../../../resources/backbone/pretraining/orientation.ts';
import { coverage, place, radial } from '../../../resources/backbone/pretraining/outline.ts';
import type { Outline } from '../../../resources/backbone/pretraining/outline.ts';

const SIDE = 64;
/** Turned clockwise on the screen by `turn` of a full turn. */
const lying = (outline: Outline, turn: number) => {
  const [cos, sin] = [18 * Math.cos(2 * Math.PI * turn), 18 * Math.sin(2 * Math.PI * turn)];
  return orientationOf(coverage(place(outline, { a: cos, b: -sin, c: sin, d: cos, x: 31, y: 33 }), SIDE), SIDE);
};

const spike: Outline = [[1, 0, -0.8, 0.4, -0.8, -0.4]];
const broad: Outline = [[0.5, 0, -0.3, 1, -0.3, -1]];
const bar: Outline = [[-1, -0.3, 1, -0.3, 1, 0.3, -1, 0.3]];

describe('orientationOf', () => {
  it('finds the long axis and the tip, wherever it points', () => {
    for (const turn of [0, 0.1, 0.3, 0.52, 0.77, 0.95]) {
      const { axis, direction } = lying(spike, turn);
      expect(direction).toBeCloseTo(turn, 2);
      expect(axis).toBeCloseTo(turn % 0.5, 2);
    }
  });

  it('finds a tip across the long axis too', () => {
    const { axis, direction } = lying(broad, 0.1);
    expect(direction).toBeCloseTo(0.1, 2);
    expect(axis).toBeCloseTo(0.35, 2);
  });

  it('says nothing of what has no axis or no tip', () => {
    expect(lying(bar, 0.2)).toEqual({ axis: expect.closeTo(0.2, 2) as number, direction: null });
    expect(lying([radial(() => 1)], 0.2)).toEqual({ axis: null, direction: null });
    expect(lying([radial(() => 1, 3)], 0.2)).toEqual({ axis: null, direction: null });
    expect(orientationOf(new Float32Array(16), 4)).toEqual({ axis: null, direction: null });
  });
});

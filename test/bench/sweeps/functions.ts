/** Functions that optimizers are tried on, over boxes, with their least values (Surjanovic and Bingham, Virtual Library of Simulation Experiments). */
import type { Range } from '../../../src-main/sweep/space.ts';

export interface TestFunction {
  space: Range[];
  least: number;
  at: (place: readonly number[]) => number;
}

function box(...sides: readonly (readonly [number, number])[]): Range[] {
  return sides.map(([min, max], index) => ({ kind: 'float', name: `x${index}`, min, max, scale: 'linear' }));
}

const branin: TestFunction = {
  space: box([-5, 10], [0, 15]),
  least: 0.397887,
  at: ([x, y]) => {
    const bend = y! - (5.1 / (4 * Math.PI ** 2)) * x! ** 2 + (5 / Math.PI) * x! - 6;
    return bend ** 2 + 10 * (1 - 1 / (8 * Math.PI)) * Math.cos(x!) + 10;
  },
};

const HARTMANN_A = [
  [10, 3, 17, 3.5, 1.7, 8],
  [0.05, 10, 17, 0.1, 8, 14],
  [3, 3.5, 1.7, 10, 17, 8],
  [17, 8, 0.05, 10, 0.1, 14],
] as const;
const HARTMANN_P = [
  [0.1312, 0.1696, 0.5569, 0.0124, 0.8283, 0.5886],
  [0.2329, 0.4135, 0.8307, 0.3736, 0.1004, 0.9991],
  [0.2348, 0.1451, 0.3522, 0.2883, 0.3047, 0.665],
  [0.4047, 0.8828, 0.8732, 0.5743, 0.1091, 0.0381],
] as const;
const HARTMANN_ALPHA = [1, 1.2, 3, 3.2] as const;

const hartmann6: TestFunction = {
  space: box([0, 1], [0, 1], [0, 1], [0, 1], [0, 1], [0, 1]),
  least: -3.32237,
  at: (place) =>
    -HARTMANN_ALPHA.reduce((sum, alpha, row) => {
      const exponent = place.reduce(
        (far, x, axis) => far + HARTMANN_A[row]![axis]! * (x - HARTMANN_P[row]![axis]!) ** 2,
        0,
      );
      return sum + alpha * Math.exp(-exponent);
    }, 0),
};

const rosenbrock: TestFunction = {
  space: box([-5, 10], [-5, 10], [-5, 10]),
  least: 0,
  at: (place) =>
    place
      .slice(1)
      .reduce((sum, next, index) => sum + 100 * (next - place[index]! ** 2) ** 2 + (1 - place[index]!) ** 2, 0),
};

export const functions = { branin, hartmann6, rosenbrock };

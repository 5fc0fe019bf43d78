import { generatorFor, uniform } from '../training/random.ts';
import { gridPoints } from './grid.ts';
import { haltonPlace } from './halton.ts';
import { keyOf, pointAt, type Point, type Space } from './space.ts';
import { tpeCandidates } from './tpe.ts';
import type { Observation } from './observation.ts';

export const SAMPLERS = ['grid', 'random', 'quasi-random', 'tpe'] as const;
export type SamplerKind = (typeof SAMPLERS)[number];

export interface Sampler {
  /**
   * The point of the `number`-th trial, from 0; undefined once nothing new is left.
   * @param history what is known of earlier trials, by number; only `tpe` looks at it
   * @param isTaken whether an earlier trial has the point: a trial with equal settings would give equal numbers
   */
  propose(number: number, history: readonly Observation[], isTaken: (point: Point) => boolean): Point | undefined;
}

/** What draws are for, in `generatorFor`. */
const PURPOSE = 41;

/** Draws in which a new point has to turn up. */
const ATTEMPTS = 200;

/** Finished trials before TPE has something to learn from, as Optuna has it. */
const START_UP = 10;

/** Pure: what it proposes depends on its arguments alone. */
export function samplerOf(kind: SamplerKind, space: Space, seed: number): Sampler {
  switch (kind) {
    case 'grid': {
      const points = gridPoints(space);
      return { propose: (number) => points[number] };
    }
    case 'random':
      return { propose: (number, _, isTaken) => firstNew(randomPoints(space, seed, number), isTaken) };
    case 'quasi-random':
      return { propose: (number, _, isTaken) => firstNew(quasiRandomPoints(space, seed, number), isTaken) };
    case 'tpe':
      return {
        propose: (number, history, isTaken) => {
          const finished = history.filter(({ state }) => state !== 'running').length;
          if (finished < START_UP) return firstNew(quasiRandomPoints(space, seed, number), isTaken);
          const candidates = tpeCandidates(space, history, generatorFor(seed, PURPOSE + 1, number));
          return candidates.find((point) => !isTaken(point)) ?? firstNew(randomPoints(space, seed, number), isTaken);
        },
      };
  }
}

function firstNew(points: Iterable<Point>, isTaken: (point: Point) => boolean): Point | undefined {
  for (const point of points) if (!isTaken(point)) return point;
  return undefined;
}

function* randomPoints(space: Space, seed: number, number: number): Iterable<Point> {
  const generator = generatorFor(seed, PURPOSE, number);
  for (let attempt = 0; attempt < ATTEMPTS; attempt++)
    yield pointAt(
      space,
      space.map(() => uniform(generator)),
    );
}

function* quasiRandomPoints(space: Space, seed: number, number: number): Iterable<Point> {
  yield pointAt(space, haltonPlace(number, space.length, seed));
  // Taken already, as happens among few values: the sequence itself has to go on in step with the numbers of trials.
  yield* randomPoints(space, seed, number);
}

/** Whether a point is among those of a set that only grows. */
export class TakenPoints {
  private readonly keys = new Set<string>();

  constructor(private readonly space: Space) {}

  add(point: Point): void {
    this.keys.add(keyOf(this.space, point));
  }

  has(point: Point): boolean {
    return this.keys.has(keyOf(this.space, point));
  }
}

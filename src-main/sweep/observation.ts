import type { Point } from './space.ts';

/** What a sampler knows of a trial. */
export interface Observation {
  number: number;
  point: Point;
  state: 'running' | 'done' | 'pruned' | 'failed';
  /** To be made large: the best top-1 on val so far. Null before the first epoch. */
  value: number | null;
  /** To be made small where values are equal: the loss on val at that epoch. */
  loss: number | null;
  /** Epochs done. */
  epochs: number;
}

/** Orders finished trials, better ones first: by value, then by loss, then by number. */
export function byValue(a: Observation, b: Observation): number {
  return (
    (b.value ?? -Infinity) - (a.value ?? -Infinity) ||
    (a.loss ?? Infinity) - (b.loss ?? Infinity) ||
    a.number - b.number
  );
}

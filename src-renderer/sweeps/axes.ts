import type { ShownSweep, Trial } from './trials.ts';

type Dimension = ShownSweep['config']['space'][number];

/** An axis of parallel coordinates: where values lie on it, 0 at the bottom to 1 at the top, and what is written beside it. */
export interface Axis {
  name: string;
  /** Null where a trial has no value. */
  at: (trial: Trial) => number | null;
  marks: { at: number; value: string | number }[];
  /** Whether it has a few values that many trials share. */
  isListed: boolean;
}

/** A number from 0 to 1 for each trial and axis, always the same: the golden ratio's multiples spread evenly. */
export function spreadOf(trial: number, axis: number): number {
  return ((trial + 1) * 0.618034 + axis * 0.414214) % 1;
}

export const TOP1_AXIS = 'top1';

/** One for each setting of the space, and top-1 as the last. */
export function axesOf(space: readonly Dimension[], trials: readonly Trial[]): Axis[] {
  return [...space.map(settingAxis), top1Axis(trials)];
}

function settingAxis(dimension: Dimension): Axis {
  const { name } = dimension;
  if (dimension.kind === 'choice') {
    const { values } = dimension;
    const place = (index: number) => (values.length === 1 ? 0.5 : index / (values.length - 1));
    return {
      name,
      at: ({ point }) => (point[name] === undefined ? null : place(values.indexOf(point[name]))),
      marks: values.map((value, index) => ({ at: place(index), value })),
      isListed: true,
    };
  }
  const { min, max, scale } = dimension;
  const on = scale === 'log' ? Math.log : (value: number) => value;
  const place = (value: number) => (on(value) - on(min)) / (on(max) - on(min));
  return {
    name,
    at: ({ point }) => (point[name] === undefined ? null : place(Number(point[name]))),
    marks: [min, max].map((value) => ({ at: place(value), value })),
    isListed: dimension.kind === 'int' && max - min < 20,
  };
}

function top1Axis(trials: readonly Trial[]): Axis {
  const values = trials.flatMap(({ value }) => (value === null ? [] : [value]));
  const low = values.length > 0 ? Math.min(...values) : 0;
  const high = values.length > 0 ? Math.max(...values) : 1;
  const place = (value: number) => (high > low ? (value - low) / (high - low) : 0.5);
  const ends = high > low ? [low, high] : [low];
  return {
    name: TOP1_AXIS,
    at: ({ value }) => (value === null ? null : place(value)),
    marks: ends.map((value) => ({ at: place(value), value })),
    isListed: false,
  };
}

/** A part of an axis that was chosen. */
export type Brush = readonly [low: number, high: number];

/** Whether a trial lies in all parts that were chosen. */
export function isWithin(trial: Trial, axes: readonly Axis[], brushes: ReadonlyMap<string, Brush>): boolean {
  return axes.every((axis) => {
    const brush = brushes.get(axis.name);
    if (!brush) return true;
    const at = axis.at(trial);
    return at !== null && at >= brush[0] - 1e-9 && at <= brush[1] + 1e-9;
  });
}

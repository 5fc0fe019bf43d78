import type { Trial } from './trials.ts';

/** Parts that the values of a range are put into, each with as many trials. */
const BINS = 4;
/** Trials below which nothing is said. */
const FEWEST = 10;

export interface Importance {
  name: string;
  /** 0 to 1. */
  share: number;
}

/**
 * What each setting by itself has to do with top-1: the share of its variance over whole trials that lies between the
 * values of the setting (ranges in four parts), less what as many parts at random would have (epsilon squared, Kelley
 * 1935). What settings do together is not in it.
 */
export function importances(names: readonly string[], trials: readonly Trial[]): Importance[] {
  const whole = trials.filter(({ state, value, extension }) => state === 'done' && value !== null && !extension);
  return names
    .flatMap((name): Importance[] => {
      const having = whole.filter(({ point }) => point[name] !== undefined);
      const share = having.length < FEWEST ? undefined : shareBetween(parts(name, having));
      return share === undefined ? [] : [{ name, share }];
    })
    .sort((a, b) => b.share - a.share);
}

/** The values of trials, by the value of a setting or the part of its range. */
function parts(name: string, trials: readonly Trial[]): number[][] {
  const different = new Set(trials.map(({ point }) => point[name]));
  const groups = new Map<unknown, number[]>();
  const sorted = [...trials].sort((a, b) => Number(a.point[name]) - Number(b.point[name]));
  sorted.forEach(({ point, value }, rank) => {
    const part = different.size > 2 * BINS ? Math.floor((rank * BINS) / sorted.length) : point[name];
    groups.set(part, [...(groups.get(part) ?? []), value!]);
  });
  return [...groups.values()];
}

function shareBetween(groups: readonly number[][]): number | undefined {
  const all = groups.flat();
  const mean = meanOf(all);
  const total = squares(all, mean);
  if (groups.length < 2 || total === 0) return undefined;
  const within = groups.reduce((sum, group) => sum + squares(group, meanOf(group)), 0);
  const left = all.length - groups.length;
  if (left <= 0) return undefined;
  return Math.max(0, 1 - within / left / (total / (all.length - 1)));
}

function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function squares(values: readonly number[], mean: number): number {
  return values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
}

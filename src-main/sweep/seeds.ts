import type { Trial } from './sweep-state.ts';

export interface Mean {
  mean: number;
  /** 95 % confidence interval of the mean; null where there are fewer than two values. */
  interval: { low: number; high: number } | null;
}

/** What came of equal settings under several seeds. */
export interface Repeats extends Mean {
  /** Numbers of the trials, by number. */
  trials: number[];
}

/** 97.5 % quantiles of Student's t for 1 to 30 degrees of freedom. */
const STUDENT = [
  12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.16, 2.145, 2.131, 2.12, 2.11,
  2.101, 2.093, 2.086, 2.08, 2.074, 2.069, 2.064, 2.06, 2.056, 2.052, 2.048, 2.045, 2.042,
] as const;

/** Whole trials of as many epochs whose settings differ in the seed alone, together; the best mean first. None where no seed was varied. */
export function overSeeds(trials: readonly Trial[]): Repeats[] {
  const groups = new Map<string, Trial[]>();
  for (const trial of trials) {
    if (trial.state !== 'done' || trial.point.seed === undefined) continue;
    const { seed: _, ...rest } = trial.point;
    const settings = Object.entries(rest).sort(([a], [b]) => a.localeCompare(b));
    const key = JSON.stringify([trial.result?.epochs, ...settings]);
    groups.set(key, [...(groups.get(key) ?? []), trial]);
  }
  return [...groups.values()].map(repeatsOf).sort((a, b) => b.mean - a.mean || a.trials[0]! - b.trials[0]!);
}

function repeatsOf(trials: readonly Trial[]): Repeats {
  return { trials: trials.map(({ number }) => number), ...meanOf(trials.map(({ value }) => value ?? 0)) };
}

/** @param values at least one */
export function meanOf(values: readonly number[]): Mean {
  const count = values.length;
  const mean = values.reduce((sum, value) => sum + value, 0) / count;
  if (count < 2) return { mean, interval: null };
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (count - 1);
  const half = (STUDENT[count - 2] ?? 1.96) * Math.sqrt(variance / count);
  return { mean, interval: { low: mean - half, high: mean + half } };
}

import type { RunResult } from '../../training/run-folder.ts';
import type { SweepConfig } from '../../sweep/sweep-config.ts';
import type { Extension, TrialResult } from '../../sweep/sweep-events.ts';
import type { SweepState } from '../../sweep/sweep-state.ts';

/** What `sweep` prints. Fractions 0 to 1, seconds, bytes. */
export interface SweepAnswer {
  sweep: string;
  /** By number, each as `train` prints a run, with nothing read on test. */
  trials: AnsweredTrial[];
  /** The run that the best trial was kept as; null where none came to its end. */
  best: RunResult | null;
  /** The run that was trained on train and val with the best trial's settings. */
  retrained: RunResult | null;
  seconds: { extract: number; train: number; total: number };
}

/** A trial; one that failed before its first epoch lacks most of a result. */
export type AnsweredTrial = Partial<TrialResult> & {
  trial: number;
  test: null;
  state: 'done' | 'pruned' | 'failed' | 'running';
  reason?: string;
  settings: Record<string, unknown>;
  /** Where it goes on with another. */
  extension?: Extension;
};

export function answerOf({ sweep }: Pick<SweepConfig, 'sweep'>, state: SweepState): SweepAnswer {
  const trials = state.known().map(({ number, point, extension, state: how, reason, result }): AnsweredTrial => ({
    ...result,
    trial: number,
    test: null,
    state: how,
    ...(reason === null ? {} : { reason }),
    ...(extension ? { extension } : {}),
    settings: result?.settings ?? point,
  }));
  return {
    sweep,
    trials,
    best: state.closed?.best ?? null,
    retrained: state.closed?.retrained ?? null,
    seconds: {
      extract: state.spent.extract,
      train: trials.reduce((sum, { seconds }) => sum + (seconds?.train ?? 0), 0),
      total: state.spent.total,
    },
  };
}

/** Sweeps in words and tables. */
import { settingInWords } from '../studio/runs.ts';
import type { ListedSweep, ShownSweep, ShownTrial } from '../studio/sweeps/sweeps.ts';
import { byteSize, counted, duration, grouped, percent, table } from './format.ts';

/** Trials that a table shows. */
const SHOWN = 20;

/** How a sweep is named on the command line, for help texts. */
export const SWEEP = 'the id of a sweep, the beginning of one, or "latest"';

export function sweepTable(sweeps: readonly ListedSweep[]): string {
  return table(
    ['SWEEP', 'DATASET', 'BACKBONE', 'SAMPLER', 'PRUNER', 'TRIALS>', 'BEST VAL>', 'STATE'],
    sweeps.map(({ sweep, dataset, backbone, sampler, pruner, trials, best, standing }) => [
      sweep,
      dataset,
      backbone,
      sampler,
      pruner,
      `${trials.done + trials.pruned + trials.failed} of ${trials.wanted}`,
      percent(best?.top1),
      standing,
    ]),
  );
}

/** What `sweep` says at its end, and `sweep show`. */
export function describeSweep(shown: ShownSweep): string {
  const { sweep, dataset, backbone, trials, seconds, winner, retrained, standing } = shown;
  const { done, pruned, failed, wanted } = trials;
  const parts = [
    `${sweep}: ${dataset}, backbone ${backbone}; ${standing}, ${counted(done, 'trial')} done, ${pruned} pruned, ${failed} failed, of ${wanted}`,
    leaderboard(shown),
  ];
  if (shown.repeats.length > 0) parts.push(repeatsTable(shown));
  if (winner)
    parts.push(
      `The best is kept as run ${winner.run}: val top-1 ${percent(winner.val?.top1)}${winner.test ? `, test ${percent(winner.test.top1)}` : ''}.`,
    );
  if (retrained)
    parts.push(`Trained again on train and val: run ${retrained.run}, test top-1 ${percent(retrained.test?.top1)}.`);
  parts.push(`${duration(seconds.total)}, of which ${duration(seconds.extract)} extracting.`);
  return parts.join('\n\n');
}

function leaderboard({ all, config: { space } }: ShownSweep): string {
  const names = space.map(({ name }) => name);
  const order = { done: 0, running: 1, pruned: 2, failed: 3 } as const;
  const sorted = all.toSorted(
    (a, b) =>
      order[a.state] - order[b.state] ||
      (b.value ?? -1) - (a.value ?? -1) ||
      (a.loss ?? Infinity) - (b.loss ?? Infinity) ||
      a.number - b.number,
  );
  const rows = table(
    [
      'TRIAL>',
      ...names.map((name) => settingInWords(name).toUpperCase()),
      'VAL>',
      'BEST EPOCH>',
      'PARAMETERS>',
      'TIME>',
      'MEMORY>',
      'STATE',
    ],
    sorted.slice(0, SHOWN).map((trial) => rowOf(trial, names)),
  );
  const reasons = sorted.flatMap(({ number, state, reason }) =>
    state === 'failed' ? [`Trial ${number}: ${reason}`] : [],
  );
  const more = sorted.length > SHOWN ? [`and ${sorted.length - SHOWN} more, each in --json`] : [];
  return [rows, ...more, ...reasons.slice(0, SHOWN)].join('\n');
}

function rowOf(trial: ShownTrial, names: readonly string[]): string[] {
  return [
    trial.extension ? `${trial.number} (${trial.extension.of} + ${trial.extension.by})` : String(trial.number),
    ...names.map((name) => String(trial.point[name] ?? '-')),
    percent(trial.value),
    trial.bestEpoch === null ? '-' : `${trial.bestEpoch} of ${trial.epochs}`,
    trial.parameters ? grouped(trial.parameters) : '-',
    duration(trial.seconds),
    byteSize(trial.peakRssBytes),
    trial.state,
  ];
}

function repeatsTable({ repeats, all, config: { space } }: ShownSweep): string {
  const names = space.map(({ name }) => name).filter((name) => name !== 'seed');
  return table(
    [...names.map((name) => settingInWords(name).toUpperCase()), 'SEEDS>', 'MEAN VAL>', '95 % INTERVAL'],
    repeats.slice(0, SHOWN).map(({ trials, mean, interval }) => {
      const point = all.find(({ number }) => number === trials[0])?.point ?? {};
      return [
        ...names.map((name) => String(point[name] ?? '-')),
        String(trials.length),
        percent(mean),
        interval ? `${percent(interval.low)} to ${percent(interval.high)}` : '-',
      ];
    }),
  );
}

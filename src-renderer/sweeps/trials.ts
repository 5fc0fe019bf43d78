/** The trials of a sweep as the window keeps them: read once, then brought up to date by the lines of the sweep's log. */
import type { ReplyOf } from '../../src-main/studio/service/calls.ts';
import type { StudioEvent } from '../../src-main/studio/service/events.ts';

export type ShownSweep = ReplyOf<'sweeps.show'>;
export type Trial = ShownSweep['all'][number];
export type SweepLine = Extract<StudioEvent, { type: 'sweep' }>['event'];

/** Takes a line in. @returns whether it says something of a trial */
export function takeLine(trials: Map<number, Trial>, line: SweepLine): boolean {
  if (line.event === 'trial') {
    if (!trials.has(line.trial)) trials.set(line.trial, begun(line));
    return true;
  }
  if (line.event !== 'epoch' && line.event !== 'end') return false;
  const trial = trials.get(line.trial);
  if (trial?.state !== 'running') return false;
  trials.set(line.trial, line.event === 'epoch' ? withEpoch(trial, line) : withEnd(trial, line));
  return true;
}

function begun({ trial: number, point, extension }: Extract<SweepLine, { event: 'trial' }>): Trial {
  const unknown = { value: null, loss: null, bestEpoch: null, reason: null };
  const later = { parameters: null, headParameters: null, seconds: null, peakRssBytes: null };
  return { number, point, extension: extension ?? null, state: 'running', epochs: 0, values: [], ...unknown, ...later };
}

function withEpoch(trial: Trial, { epoch, top1, valLoss }: Extract<SweepLine, { event: 'epoch' }>): Trial {
  if (epoch !== trial.epochs + 1) return trial;
  const better = trial.value === null || top1 > trial.value;
  const best = better ? { value: top1, loss: valLoss, bestEpoch: epoch } : {};
  return { ...trial, epochs: epoch, values: [...trial.values, top1], ...best };
}

function withEnd(trial: Trial, { state, reason, result }: Extract<SweepLine, { event: 'end' }>): Trial {
  return {
    ...trial,
    state,
    reason: reason ?? null,
    parameters: result?.parameters ?? null,
    headParameters: result?.headParameters ?? null,
    seconds: result?.seconds.train ?? null,
    peakRssBytes: result?.peakRssBytes.trainer ?? null,
  };
}

const ORDER = { done: 0, running: 1, pruned: 2, failed: 3 } as const;

/** The best first: whole trials, then those that run, were pruned, have failed. */
export function ranked(trials: readonly Trial[]): Trial[] {
  return [...trials].sort(
    (a, b) =>
      ORDER[a.state] - ORDER[b.state] ||
      (b.value ?? -1) - (a.value ?? -1) ||
      (a.loss ?? Infinity) - (b.loss ?? Infinity) ||
      a.number - b.number,
  );
}

/** What a user can ask about the sweeps of a workspace, and ask of those that run. */
import { rename, rm } from 'node:fs/promises';
import { Failure } from '../../base/failure.ts';
import { findSweep, listSweepConfigs } from '../../sweep/find-sweep.ts';
import { overSeeds, type Repeats } from '../../sweep/seeds.ts';
import type { SweepConfig } from '../../sweep/sweep-config.ts';
import type { Extension } from '../../sweep/sweep-events.ts';
import { readControls, readSweepConfig, sweepFile, writeControls } from '../../sweep/sweep-folder.ts';
import { SweepReader } from '../../sweep/sweep-reader.ts';
import type { SweepState, Trial } from '../../sweep/sweep-state.ts';
import type { RunResult } from '../../training/run-folder.ts';
import { temporaryName } from '../../workspace/atomic.ts';
import { isHeld, takeLock } from '../../workspace/lock.ts';
import type { Workspace } from '../../workspace/workspace.ts';
import { checkRecordsPath, writeRecords, type Cell } from '../records-file.ts';

export type SweepStanding = 'running' | 'unfinished' | 'done';

export interface ListedSweep {
  sweep: string;
  created: string;
  dataset: string;
  backbone: string;
  standing: SweepStanding;
  sampler: string;
  pruner: string;
  trials: { wanted: number; done: number; pruned: number; failed: number };
  /** Top-1 on val of the best trial. */
  best: { trial: number; top1: number } | null;
}

export interface ShownSweep extends ListedSweep {
  config: SweepConfig;
  /** As they are asked for now: trials without those that go on with others. */
  asked: { trials: number; parallel: number };
  /** By number. */
  all: ShownTrial[];
  repeats: Repeats[];
  winner: RunResult | null;
  retrained: RunResult | null;
  seconds: { extract: number; total: number };
}

/** A trial with its curve. */
export interface ShownTrial extends Pick<
  Trial,
  'number' | 'point' | 'extension' | 'state' | 'value' | 'loss' | 'epochs' | 'bestEpoch' | 'reason' | 'values'
> {
  /** Without the head. */
  parameters: number | null;
  headParameters: number | null;
  seconds: number | null;
  peakRssBytes: number | null;
}

/** All sweeps, oldest first. */
export async function listSweeps(workspace: Workspace, reader = new SweepReader(workspace)): Promise<ListedSweep[]> {
  const listed: ListedSweep[] = [];
  for (const config of await listSweepConfigs(workspace))
    listed.push(await describe(workspace, config, await reader.stateOf(config)));
  return listed;
}

/** @param named an id, the beginning of one, or `latest` @throws Failure `no-sweep`, `ambiguous-sweep` */
export async function showSweep(
  workspace: Workspace,
  named: string,
  reader = new SweepReader(workspace),
): Promise<ShownSweep> {
  const config = await readSweepConfig(workspace, await findSweep(workspace, named));
  const state = await reader.stateOf(config);
  const { trials: wanted = config.trials, parallel = config.parallel } = await readControls(workspace, config.sweep);
  const trials = state.known();
  return {
    ...(await describe(workspace, config, state)),
    config,
    asked: { trials: wanted, parallel },
    all: trials.map(shown),
    repeats: overSeeds(trials),
    winner: state.closed?.best ?? null,
    retrained: state.closed?.retrained ?? null,
    seconds: state.spent,
  };
}

export function stateOf(workspace: Workspace, config: SweepConfig): Promise<SweepState> {
  return new SweepReader(workspace).stateOf(config);
}

async function describe(workspace: Workspace, config: SweepConfig, state: SweepState): Promise<ListedSweep> {
  const { sweep, created, dataset, backbone, sampler, pruner } = config;
  const { trials: wanted = config.trials, extensions } = await readControls(workspace, sweep);
  const trials = state.known();
  const count = (how: Trial['state']) => trials.filter((trial) => trial.state === how).length;
  const running = await isHeld(sweepFile(workspace, sweep, 'lock'));
  const best = state.best();
  const isOver = state.closed && extensions.every((each) => state.hasExtension(each));
  return {
    sweep,
    created,
    dataset,
    backbone,
    standing: running ? 'running' : isOver ? 'done' : 'unfinished',
    sampler,
    pruner,
    trials: {
      wanted: wanted + extensions.length,
      done: count('done'),
      pruned: count('pruned'),
      failed: count('failed'),
    },
    best: best ? { trial: best.number, top1: best.value ?? 0 } : null,
  };
}

function shown(trial: Trial): ShownTrial {
  const { number, point, extension, state, value, loss, epochs, bestEpoch, reason, values, result } = trial;
  return {
    number,
    point,
    extension,
    state,
    value,
    loss,
    epochs,
    bestEpoch,
    reason,
    values,
    parameters: result?.parameters ?? null,
    headParameters: result?.headParameters ?? null,
    seconds: result?.seconds.train ?? null,
    peakRssBytes: result?.peakRssBytes.trainer ?? null,
  };
}

export interface AskOfSweep {
  trials?: number;
  parallel?: number;
  /** A trial to end. */
  stopTrial?: number;
  /** Whole trials to go on with, by number or so many of the best, for so many epochs more. */
  extend?: { trials: readonly number[] | { best: number }; epochs: number };
  /** Stops the sweep, to be resumed later. */
  stop?: boolean;
}

/** Asks something of a sweep, whichever process runs it; it takes effect in a moment, or once it goes on. */
export async function askOfSweep(workspace: Workspace, named: string, asked: AskOfSweep): Promise<void> {
  const sweep = await findSweep(workspace, named);
  const { stopTrial, extend, ...rest } = asked;
  const before = await readControls(workspace, sweep);
  if (rest.stop && !(await isHeld(sweepFile(workspace, sweep, 'lock'))))
    throw new Failure('not-running', `Sweep ${sweep} is not running, so there is nothing to stop.`);
  const stopped = stopTrial === undefined ? before.stopped : [...new Set([...before.stopped, stopTrial])];
  const more = extend ? await extensionsOf(workspace, sweep, extend, before.extensions) : [];
  await writeControls(workspace, sweep, { ...before, ...rest, stopped, extensions: [...before.extensions, ...more] });
}

/** What is not asked for already. The best are those that nothing goes on with yet. @throws Failure `no-trial` */
async function extensionsOf(
  workspace: Workspace,
  sweep: string,
  { trials, epochs }: NonNullable<AskOfSweep['extend']>,
  asked: readonly Extension[],
): Promise<Extension[]> {
  const state = await stateOf(workspace, await readSweepConfig(workspace, sweep));
  const goneOnWith = new Set(
    [...asked, ...state.known().flatMap(({ extension }) => extension ?? [])].map(({ of }) => of),
  );
  const whole = state.ranked().filter((trial) => trial.state === 'done');
  const numbers =
    'best' in trials
      ? whole.flatMap(({ number }) => (goneOnWith.has(number) ? [] : [number])).slice(0, trials.best)
      : trials;
  const wrong = numbers.find((number) => state.trials[number]?.state !== 'done');
  if (numbers.length === 0 || wrong !== undefined)
    throw new Failure(
      'no-trial',
      `Sweep ${sweep} has no ${wrong === undefined ? 'trial' : `trial ${wrong}`} that came to its end and could be gone on with: "sidetune sweep show ${sweep}" shows those that did.`,
    );
  return numbers
    .map((of) => ({ of, by: epochs }))
    .filter(({ of, by }) => !asked.some((each) => each.of === of && each.by === by));
}

/** Whether some process runs a sweep at the moment. */
export async function isRunning(workspace: Workspace, named: string): Promise<boolean> {
  return isHeld(sweepFile(workspace, await findSweep(workspace, named), 'lock'));
}

/** The newest sweep that nobody runs and that is not done. @throws Failure `nothing-to-resume` */
export async function newestUnfinished(workspace: Workspace): Promise<string> {
  const found = (await listSweeps(workspace)).findLast(({ standing }) => standing === 'unfinished');
  if (found) return found.sweep;
  throw new Failure(
    'nothing-to-resume',
    'There is no unfinished sweep in this workspace: "sidetune sweep list" shows those there are.',
  );
}

/** Removes a sweep for good; runs that its trials have become stay. @throws Failure `no-sweep`, `busy` */
export async function removeSweep(workspace: Workspace, named: string): Promise<{ removed: string }> {
  const sweep = await findSweep(workspace, named);
  const release = await takeLock(sweepFile(workspace, sweep, 'lock'));
  if (!release) throw new Failure('busy', `Sweep ${sweep} is running: stop it first, then remove it.`);
  try {
    const doomed = temporaryName(workspace.sweep(sweep));
    await rename(workspace.sweep(sweep), doomed);
    await rm(doomed, { recursive: true, force: true });
  } finally {
    await release();
  }
  return { removed: sweep };
}

/** Writes a table of the trials, the best first: CSV or JSON, by the path's ending. @throws Failure `usage`, `bad-out` */
export async function exportSweep(
  workspace: Workspace,
  named: string,
  out: string,
): Promise<{ sweep: string; file: string; trials: number }> {
  const file = await checkRecordsPath(out);
  const config = await readSweepConfig(workspace, await findSweep(workspace, named));
  const state = await stateOf(workspace, config);
  const trials = state.ranked();
  const settings = config.space.map(({ name }) => name);
  const columns = ['trial', 'state', ...settings, ...MEASURED, 'reason', 'goes_on_with'];
  await writeRecords(
    file,
    columns,
    trials.map((trial) => recordOf(trial, settings)),
  );
  return { sweep: config.sweep, file, trials: trials.length };
}

const MEASURED = [
  'val_top1',
  'val_loss',
  'best_epoch',
  'epochs',
  'parameters',
  'head_parameters',
  'seconds',
  'peak_rss_bytes',
];

function recordOf(trial: Trial, settings: readonly string[]): Record<string, Cell> {
  const { number, state, value, loss, bestEpoch, epochs, parameters, headParameters, seconds, peakRssBytes, ...rest } =
    shown(trial);
  return {
    trial: number,
    state,
    ...Object.fromEntries(settings.map((name) => [name, trial.point[name] ?? null])),
    val_top1: value,
    val_loss: loss,
    best_epoch: bestEpoch,
    epochs,
    parameters,
    head_parameters: headParameters,
    seconds,
    peak_rss_bytes: peakRssBytes,
    reason: rest.reason,
    goes_on_with: rest.extension?.of ?? null,
  };
}

/** A sweep as runs of MLflow: one for the sweep, and within it one for each trial. */
import { join } from 'node:path';
import type { TaskOptions } from '../../base/progress.ts';
import { findSweep } from '../../sweep/find-sweep.ts';
import type { SweepConfig } from '../../sweep/sweep-config.ts';
import { readSweepConfig, trialFolder } from '../../sweep/sweep-folder.ts';
import type { SweepState, Trial } from '../../sweep/sweep-state.ts';
import { readConfigIn, readMetrics, runFiles, type EpochMetrics } from '../../training/run-folder.ts';
import type { Workspace } from '../../workspace/workspace.ts';
import { stateOf } from '../sweeps/sweeps.ts';
import { MlflowClient, type MlflowMetric, type MlflowRun, type MlflowStatus, type Words } from './client.ts';

export const DEFAULT_EXPERIMENT = 'sidetune';

export interface MlflowExport {
  sweep: string;
  experiment: string;
  /** Of the sweep. */
  run: string;
  /** Where it is shown. */
  page: string;
  trials: number;
  /** Trials of which the server knew nothing, or not all. */
  written: number;
}

/** Tags by which runs are found again. */
const TAGS = { sweep: 'sidetune.sweep', trial: 'sidetune.trial', state: 'sidetune.state', epochs: 'sidetune.epochs' };
const STATUS: Readonly<Record<Trial['state'], MlflowStatus>> = {
  running: 'RUNNING',
  done: 'FINISHED',
  pruned: 'KILLED',
  failed: 'FAILED',
};

/**
 * Writes a sweep, and writes no more than is missing where it was written before: also one that runs, again and again.
 * @param named an id, the beginning of one, or `latest`
 * @throws Failure `no-sweep`, `ambiguous-sweep`, `usage` and `mlflow`
 */
export async function exportToMlflow(
  workspace: Workspace,
  named: string,
  uri: string,
  { experiment = DEFAULT_EXPERIMENT, ...options }: TaskOptions & { experiment?: string } = {},
): Promise<MlflowExport> {
  const client = new MlflowClient(uri, options.signal);
  const config = await readSweepConfig(workspace, await findSweep(workspace, named));
  const state = await stateOf(workspace, config);
  const id = await client.experiment(experiment);
  const known = await client.runsWith(id, TAGS.sweep, config.sweep);
  const parent = known.find(({ tags }) => tags[TAGS.trial] === undefined) ?? (await createParent(client, id, config));
  const children = new Map(known.map((run) => [run.tags[TAGS.trial], run]));
  const trials = state.known();
  let written = 0;
  for (const [index, trial] of trials.entries()) {
    options.onProgress?.({ task: 'export', done: index, total: trials.length, unit: 'trials' });
    const child = children.get(String(trial.number));
    if (child && isWritten(child, trial)) continue;
    await writeTrial(client, { workspace, config, experiment: id, parent: parent.id }, trial, child);
    written++;
  }
  options.onProgress?.({ task: 'export', done: trials.length, total: trials.length, unit: 'trials' });
  await writeParent(client, parent, config, state);
  const page = client.pageOf(id, parent.id);
  return { sweep: config.sweep, experiment, run: parent.id, page, trials: trials.length, written };
}

function isWritten({ tags, status }: MlflowRun, { state, epochs }: Trial): boolean {
  return tags[TAGS.state] === state && tags[TAGS.epochs] === String(epochs) && status === STATUS[state];
}

async function createParent(client: MlflowClient, experiment: string, config: SweepConfig): Promise<MlflowRun> {
  const { sweep, created, dataset, backbone, sampler, pruner } = config;
  return client.createRun(experiment, sweep, Date.parse(created), {
    [TAGS.sweep]: sweep,
    'mlflow.source.name': 'sidetune sweep',
    'mlflow.source.type': 'LOCAL',
    'mlflow.note.content': `Sweep over ${dataset} with ${backbone}: sampler ${sampler}, pruner ${pruner}.`,
  });
}

/** What of a sweep grows is in metrics and tags; parameters are for good. */
async function writeParent(
  client: MlflowClient,
  run: MlflowRun,
  config: SweepConfig,
  state: SweepState,
): Promise<void> {
  const { space, fixed, dataset, backbone, sampler, pruner, seed, threads, lag, engine } = config;
  const params = {
    ...wordsOf(fixed),
    ...wordsOf({ dataset, backbone, sampler, pruner, sweepSeed: seed, threads, deterministic: lag !== null, engine }),
    ...Object.fromEntries(space.map((dimension) => [`space.${dimension.name}`, inWords(dimension)])),
  };
  const best = state.best();
  const at = Date.parse(config.created) + Math.round(1000 * state.spent.total);
  const figures = {
    trials: state.known().length,
    best_val_top1: best?.value,
    best_val_loss: best?.loss,
    best_trial: best?.number,
    test_top1: state.closed?.best?.test?.top1,
    retrained_test_top1: state.closed?.retrained?.test?.top1,
  };
  const changed = metricsAt(at, 0, figures).filter(({ key, value }) => run.metrics[key] !== value);
  await client.log(run.id, params, changed, { [TAGS.state]: state.closed ? 'done' : 'unfinished' });
  if (state.closed) await client.setStatus(run.id, 'FINISHED', at);
  else if (run.status !== 'RUNNING') await client.setStatus(run.id, 'RUNNING');
}

interface Ground {
  workspace: Workspace;
  config: SweepConfig;
  experiment: string;
  /** The sweep's own run. */
  parent: string;
}

async function writeTrial(
  client: MlflowClient,
  { workspace, config, experiment, parent }: Ground,
  trial: Trial,
  known: MlflowRun | undefined,
): Promise<void> {
  const { number, state, point, epochs, reason, extension } = trial;
  const folder = trialFolder(workspace, config.sweep, number);
  const own = await readConfigIn(folder).catch(() => undefined);
  const kept = (await readMetrics(join(folder, runFiles.metrics)).catch(() => [])).slice(0, epochs);
  const started = Date.parse(own?.created ?? config.created);
  const run =
    known ??
    (await client.createRun(experiment, `trial ${number}`, started, {
      'mlflow.parentRunId': parent,
      [TAGS.sweep]: config.sweep,
      [TAGS.trial]: String(number),
      ...(extension ? { 'sidetune.goes_on_with': String(extension.of) } : {}),
    }));
  const { dataset, backbone, engine, threads } = config;
  const params = wordsOf({ ...(own?.settings ?? { ...config.fixed, ...point }), dataset, backbone, engine, threads });
  const times = timesOf(kept, started, epochs);
  const ended = times.at(-1) ?? started;
  const written = Number(run.tags[TAGS.epochs] ?? 0);
  const metrics = times.flatMap((at, index) =>
    index < written ? [] : metricsAt(at, index + 1, figuresOf(trial, kept[index], index)),
  );
  if (state !== 'running') metrics.push(...metricsAt(ended, epochs, outcomeOf(trial)));
  await client.log(run.id, params, metrics, {
    ...(reason === null ? {} : { 'sidetune.reason': reason }),
    [TAGS.epochs]: String(epochs),
    [TAGS.state]: state,
  });
  await client.setStatus(run.id, STATUS[state], state === 'running' ? undefined : ended);
}

/** When each epoch ended, had the trial run without a pause: its log keeps how long each took. */
function timesOf(kept: readonly EpochMetrics[], started: number, epochs: number): number[] {
  let seconds = 0;
  return Array.from({ length: epochs }, (_, index) => {
    seconds += kept[index]?.seconds ?? 0;
    return started + Math.round(1000 * seconds);
  });
}

function figuresOf({ values, losses }: Trial, kept: EpochMetrics | undefined, index: number) {
  return {
    loss: losses[index],
    val_top1: values[index],
    train_top1: kept?.top1,
    learning_rate: kept?.learningRate,
    val_loss: kept?.val?.loss,
    val_macro: kept?.val?.macro,
    epoch_seconds: kept?.seconds,
  };
}

function outcomeOf({ value, loss, bestEpoch, result }: Trial) {
  return {
    best_val_top1: value,
    best_val_loss: loss,
    best_epoch: bestEpoch,
    parameters: result?.parameters,
    head_parameters: result?.headParameters,
    train_seconds: result?.seconds.train,
    peak_rss_bytes: result?.peakRssBytes.trainer,
  };
}

/** What is not known is left out. */
function metricsAt(
  timestamp: number,
  step: number,
  figures: Readonly<Record<string, number | null | undefined>>,
): MlflowMetric[] {
  return Object.entries(figures).flatMap(([key, value]) =>
    Number.isFinite(value) ? [{ key, value: Number(value), timestamp, step }] : [],
  );
}

function wordsOf(values: Readonly<Record<string, unknown>>): Words {
  return Object.fromEntries(
    Object.entries(values).flatMap(([name, value]) =>
      value === null || value === undefined ? [] : [[name, inWords(value)]],
    ),
  );
}

function inWords(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

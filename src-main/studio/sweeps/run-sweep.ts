/** The sweep as a job: features once for all trials, the trials, the winner kept as a run and read on test once. */
import { availableParallelism } from 'node:os';
import { isDeepStrictEqual } from 'node:util';
import { Failure } from '../../base/failure.ts';
import type { TaskOptions } from '../../base/progress.ts';
import type { DatasetImage } from '../../data/dataset.ts';
import { viewsOf } from '../../data/views.ts';
import { withFeatures } from '../../features/with-features.ts';
import type { Controls } from '../../sweep/controls.ts';
import { Journal } from '../../sweep/journal.ts';
import { prunerOf } from '../../sweep/pruner.ts';
import { choiceOf, type SweepSpace } from '../../sweep/read-space.ts';
import { samplerOf } from '../../sweep/sampler.ts';
import { Scheduler } from '../../sweep/schedule.ts';
import type { SweepConfig } from '../../sweep/sweep-config.ts';
import type { SweepEvent } from '../../sweep/sweep-events.ts';
import {
  claimSweepId,
  readControls,
  readSweepConfig,
  sweepFile,
  writeControls,
  writeSweepConfig,
} from '../../sweep/sweep-folder.ts';
import { SweepState } from '../../sweep/sweep-state.ts';
import { buildNetwork } from '../../training/build-network.ts';
import { frozenFactsOf } from '../../training/open-run.ts';
import type { Settings } from '../../training/settings.ts';
import { splitImages, type SplitImages } from '../../training/split-images.ts';
import { takeLock } from '../../workspace/lock.ts';
import type { Workspace } from '../../workspace/workspace.ts';
import { datasetAsEdited } from '../datasets/datasets.ts';
import { hashesOf, planRun, type RunPlan } from '../plan-run.ts';
import { askedControls, ControlsFile } from './controls-file.ts';
import { chooseForms, lanesThatPay } from './how-to-train.ts';
import {
  longestEpochs,
  mostViews,
  planSweep,
  probes,
  seedsOf,
  settingsByMaps,
  type SweepRequest,
} from './plan-sweep.ts';
import { answerOf, type SweepAnswer } from './sweep-answer.ts';
import { checkGround } from './sweep-ground.ts';
import { finishWinner } from './sweep-winner.ts';
import { mapsOf, StudioTrialRunner } from './trial-runner.ts';

export type { SweepAnswer } from './sweep-answer.ts';
export type { SweepRequest } from './plan-sweep.ts';

export interface SweepOptions extends TaskOptions {
  /** The sweep has its id: from here on it can be gone on with. Nothing is trained until it has been dealt with. */
  onStart?: (config: SweepConfig) => void | Promise<void>;
  /** What happens, as it is logged. */
  onEvent?: (event: SweepEvent, state: SweepState) => void;
}

/** Begins a sweep and runs it to its end. @throws Failure with the sentence for the user; the signal's reason */
export async function startSweep(
  workspace: Workspace,
  request: SweepRequest,
  options: SweepOptions = {},
): Promise<SweepAnswer> {
  const plan = await planSweep(workspace, request, options);
  const stepForms = await chooseForms(workspace, plan, request.stepForm, options);
  const { lanes: asked = 'auto' } = request;
  const lanes = asked === 'auto' ? await lanesThatPay(workspace, plan, options) : asked;
  const sweep = await claimSweepId(workspace, plan.config.dataset);
  const config: SweepConfig = { ...plan.config, lanes, sweep, created: new Date().toISOString(), stepForms };
  return locked(workspace, sweep, async () => {
    await writeSweepConfig(workspace, config);
    return perform(workspace, config, plan.run, options);
  });
}

export interface MoreOfSweep {
  /** Trials that the sweep should have in all. */
  trials?: number;
  parallel?: number;
}

/** Goes on with a sweep. @throws Failure `no-sweep`, `busy`, `no-dataset`, `unknown-backbone`, `dataset-changed`, `backbone-changed` */
export async function resumeSweep(
  workspace: Workspace,
  sweep: string,
  { trials, parallel }: MoreOfSweep = {},
  options: SweepOptions = {},
): Promise<SweepAnswer> {
  const config = await readSweepConfig(workspace, sweep);
  const { dataset, backbone, noTest } = config;
  const space: SweepSpace = config;
  await checkGround(workspace, config);
  return locked(workspace, sweep, async () => {
    const before = await readControls(workspace, sweep);
    const asked = { trials: trials ?? before.trials, parallel: parallel ?? before.parallel };
    await writeControls(workspace, sweep, { ...before, ...asked, stop: false });
    const settings = choiceOf(space, probes(space.space)[0]!);
    const now = await planRun(workspace, { dataset, backbone, settings, noTest }, options);
    const run = await asBegun(workspace, config, now);
    checkSame(config, run);
    return perform(workspace, config, run, options);
  });
}

/** @throws Failure `busy` where the sweep runs already */
async function locked<T>(workspace: Workspace, sweep: string, task: () => Promise<T>): Promise<T> {
  const release = await takeLock(sweepFile(workspace, sweep, 'lock'));
  if (!release)
    throw new Failure('busy', `Sweep ${sweep} is running in another process: wait for it, or stop it there.`);
  try {
    return await task();
  } finally {
    await release();
  }
}

/** The plan with the dataset as it was edited when the sweep began: later edits change nothing for it. */
async function asBegun(
  workspace: Workspace,
  { datasetEdits = 0, noTest }: SweepConfig,
  run: RunPlan,
): Promise<RunPlan> {
  const dataset = await datasetAsEdited(workspace, run.dataset, datasetEdits);
  return dataset === run.dataset ? run : { ...run, dataset, splits: splitImages(dataset, run.settings, { noTest }) };
}

/** @throws Failure where a sweep would go on with other data than it began with */
function checkSame(config: SweepConfig, { dataset, backbone, splits }: RunPlan): void {
  if (config.backboneSha256 !== backbone.sha256)
    throw new Failure(
      'backbone-changed',
      `Backbone ${backbone.name} is not the one that sweep ${config.sweep} began with: start a new sweep, or put the old file back.`,
    );
  const { train, val } = hashesOf(splits);
  if (train === config.data.train && val === config.data.val && isDeepStrictEqual(dataset.classes, config.classes))
    return;
  throw new Failure(
    'dataset-changed',
    `The images or classes of dataset ${dataset.name} have changed since sweep ${config.sweep} began: start a new sweep.`,
  );
}

/** Runs what is left of a sweep. */
async function perform(
  workspace: Workspace,
  config: SweepConfig,
  run: RunPlan,
  options: SweepOptions,
): Promise<SweepAnswer> {
  const started = performance.now();
  const state = new SweepState(config.space);
  const { journal, events } = await Journal.open(sweepFile(workspace, config.sweep, 'log'));
  for (const event of events) state.apply(event);
  const keep = (event: SweepEvent): void => {
    journal.append(event);
    options.onEvent?.(event, state);
  };
  let extract = 0;
  try {
    if (events.length === 0) keep({ event: 'sweep', config });
    await options.onStart?.(config);
    const asked = () => askedControls(workspace, config);
    let controls = await asked();
    let isOpen = !state.closed || state.lacks(controls);
    while (isOpen) {
      extract += await runTrials(workspace, config, run, { ...options, state, keep });
      const closed = await finishWinner(workspace, config, run, state, keep, options);
      state.apply(closed);
      keep(closed);
      // More may have been asked for while the winner was seen to.
      const before = controls;
      controls = await asked();
      isOpen = !isDeepStrictEqual(before, controls) && state.lacks(controls);
    }
  } finally {
    const spent = { event: 'spent', extract, total: (performance.now() - started) / 1000 } as const;
    state.apply(spent);
    journal.append(spent);
    await journal.sync().finally(() => journal.close());
  }
  return answerOf(config, state);
}

interface Kept {
  state: SweepState;
  keep: (event: SweepEvent) => void;
}

/** Extracts features and runs all trials that are left. @returns seconds of extraction */
async function runTrials(
  workspace: Workspace,
  config: SweepConfig,
  run: RunPlan,
  { state, keep, ...options }: SweepOptions & Kept,
): Promise<number> {
  const { dataset, backbone } = run;
  const space: SweepSpace = config;
  const frozen = frozenFactsOf(backbone, dataset.classes.length);
  const networks = settingsByMaps(space, run).map((settings) => buildNetwork(settings, frozen, 'plain'));
  const splitsOf = splitsBySeed(run);
  const seeds = seedsOf(space).map((seed) => splitsOf({ ...run.settings, seed }));
  const lists = [...seeds.map(({ train }) => train), run.splits.val];
  const views = mostViews(space, run);
  const features = {
    backbone,
    source: dataset.source,
    lists: lists.map((list) => (list === run.splits.val ? list : viewsOf(list, views))),
    maps: mapsOf(networks),
    threads: availableParallelism(),
    cache: run.settings.cache,
  };
  let extract = 0;
  await withFeatures(workspace, features, options, async ({ sets, seconds }) => {
    extract += seconds;
    const setOf = (images: readonly DatasetImage[]) => sets[lists.findIndex((list) => list === images)]!;
    const runner = new StudioTrialRunner({ workspace, config, space, backbone, frozen, splitsOf, setOf });
    const stop = new AbortController();
    const watched = await ControlsFile.open(workspace, config);
    const progress = () =>
      options.onProgress?.({ task: 'sweep', done: ended(state), total: wantedOf(watched.controls), unit: 'trials' });
    progress();
    const scheduler = new Scheduler({
      sampler: samplerOf(config.sampler, config.space, config.seed),
      pruner: prunerOf(config.pruner, longestEpochs(space, run)),
      lag: config.lag,
      memory: config.memory,
      lanes: config.lanes,
      runner,
      state,
      keep: (event) => {
        keep(event);
        if (event.event === 'end') progress();
      },
      controls: watched.controls,
      signal: options.signal ? AbortSignal.any([options.signal, stop.signal]) : stop.signal,
    });
    watched.listen(
      (controls) => scheduler.change(controls),
      () => stop.abort(stopped(config)),
    );
    try {
      await scheduler.run();
    } finally {
      watched.close();
    }
  });
  return extract;
}

function wantedOf({ trials, extensions }: Controls): number {
  return trials + extensions.length;
}

function ended(state: SweepState): number {
  return state.known().filter((trial) => trial.state !== 'running').length;
}

function stopped({ sweep }: SweepConfig): Failure {
  return new Failure('stopped', `Sweep ${sweep} was stopped: "sidetune sweep resume ${sweep}" goes on with it.`);
}

/** Lists of images, the same object for the same settings: features are found by it. */
function splitsBySeed({
  dataset,
  splits,
  settings: { limit, seed: own },
}: RunPlan): (settings: Settings) => SplitImages {
  const bySeed = new Map([[limit === null ? 0 : own, splits]]);
  return ({ seed }) => {
    const key = limit === null ? 0 : seed;
    let found = bySeed.get(key);
    if (!found) {
      found = { ...splitImages(dataset, { limit, seed }, { noTest: true }), val: splits.val };
      bySeed.set(key, found);
    }
    return found;
  };
}

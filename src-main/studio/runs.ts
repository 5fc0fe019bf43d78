/** What a user can ask about the runs of a workspace. */
import { rename, rm } from 'node:fs/promises';
import { isDeepStrictEqual } from 'node:util';
import { Failure } from '../base/failure.ts';
import { loadBackbone } from '../backbone/catalogue.ts';
import type { SplitName } from '../data/dataset.ts';
import { loadDataset } from '../data/dataset-store.ts';
import { findRun } from '../training/find-run.ts';
import { listRuns as listConfigs, readConfig, readMetrics, readResult, runFile } from '../training/run-folder.ts';
import type { EpochMetrics, RunConfig, RunResult } from '../training/run-folder.ts';
import type { Settings } from '../training/settings.ts';
import { splitImages } from '../training/split-images.ts';
import { temporaryName } from '../workspace/atomic.ts';
import { takeLock } from '../workspace/lock.ts';
import { sweepTemporaries } from '../workspace/sweep.ts';
import type { Workspace } from '../workspace/workspace.ts';
import { estimateLora, type LoraEstimate } from './analysis/lora-estimate.ts';
import { readNote } from './run-note.ts';

/** A run as `train` prints it; what an unfinished one does not know yet is null. */
export type ListedRun = {
  /** The user's own words about it, where there are any. */
  note?: string;
} & (
  | (RunResult & { state: 'done' })
  | (Pick<
      RunResult,
      | 'run'
      | 'method'
      | 'dataset'
      | 'backbone'
      | 'parameters'
      | 'headParameters'
      | 'engine'
      | 'device'
      | 'val'
      | 'settings'
    > & {
      state: 'unfinished';
      /** Those that are done, of `settings.epochs`. */
      epochs: number;
      loss: number | null;
      bestEpoch: number | null;
      test: null;
      seconds: null;
      peakRssBytes: null;
      featureBytesPerImage: null;
    })
);

/** A run of which a file cannot be read, and what its config says where that is whole. */
export type DamagedRun = Partial<
  Pick<RunConfig, 'dataset' | 'backbone' | 'parameters' | 'headParameters' | 'engine' | 'device'>
> & {
  run: string;
  state: 'damaged';
  /** Which file it is, and what to do. */
  problem: string;
  method: Settings['method'] | null;
  settings: Settings | Record<string, never>;
};

export interface ShownRun {
  run: string;
  /** The user's own words about it; the empty string where there are none. */
  note: string;
  config: RunConfig;
  /** Null while it is unfinished. */
  result: RunResult | null;
  epochs: EpochMetrics[];
  /** Images that it trains on and looks at; null where its dataset is not as it was. */
  images: Record<SplitName, number> | null;
  /** What LoRA on the same ViT would hold in memory, at the run's batch; null where the backbone is gone. */
  lora: LoraEstimate | null;
}

export interface Comparison {
  runs: ListedRun[];
  /** Names of the settings, `dataset` and `backbone` among them, in which the runs are not all equal. */
  differing: string[];
}

/** All runs, oldest first, those whose files are damaged among them; last those of which nothing else is known. */
export async function listRuns(workspace: Workspace): Promise<{ runs: (ListedRun | DamagedRun)[] }> {
  const runs: (ListedRun | DamagedRun)[] = [];
  const configs = await listConfigs(workspace);
  for (const config of configs) runs.push(await orDamaged(config.run, () => describeRun(workspace, config), config));
  const known = new Set(configs.map(({ run }) => run));
  for (const run of await workspace.list('runs')) {
    if (known.has(run)) continue;
    const found = await orDamaged(run, () => beginning(workspace, run));
    if (found !== undefined) runs.push(found);
  }
  return { runs };
}

async function orDamaged<T>(run: string, read: () => Promise<T>, config?: RunConfig): Promise<T | DamagedRun> {
  try {
    return await read();
  } catch (error) {
    if (!(error instanceof Failure) || error.code !== 'damaged-file') throw error;
    const { dataset, backbone, parameters, headParameters, engine, device, settings } = config ?? {};
    const facts = { dataset, backbone, parameters, headParameters, engine, device, settings: settings ?? {} };
    return { run, state: 'damaged', problem: error.message, method: settings?.method ?? null, ...facts };
  }
}

/** A run that had no config when the others were read: it may have got one since, and is seen the next time. */
async function beginning(workspace: Workspace, run: string): Promise<undefined> {
  await readConfig(workspace, run).catch((error: unknown) => {
    if (!(error instanceof Failure) || error.code !== 'no-run') throw error;
  });
}

/* Runs are named here as `findRun` takes them: by an id, the beginning of one, or `latest`. */

/** @throws Failure `no-run`, `ambiguous-run` or `damaged-file` */
export async function showRun(workspace: Workspace, named: string): Promise<ShownRun> {
  const run = await findRun(workspace, named);
  const config = await readConfig(workspace, run);
  const result = await readResult(workspace, run);
  const metrics = runFile(workspace, run, 'metrics');
  const epochs = await readMetrics(metrics);
  if (result && epochs.length < result.epochs)
    throw new Failure('damaged-file', `"${metrics}" is cut short: put it back from a copy.`);
  const note = await readNote(workspace, run);
  return {
    run,
    note,
    config,
    result,
    epochs,
    images: await imagesOf(workspace, config),
    lora: await loraOf(workspace, config),
  };
}

async function loraOf(workspace: Workspace, config: RunConfig): Promise<LoraEstimate | null> {
  const { backbone, backboneSha256, settings, classes } = config;
  const found = await loadBackbone(workspace, backbone).catch(() => undefined);
  if (found?.sha256 !== backboneSha256) return null;
  return estimateLora(found.structure, { batch: settings.batch, classes: classes.length });
}

async function imagesOf(workspace: Workspace, config: RunConfig): Promise<ShownRun['images']> {
  try {
    const splits = splitImages(await loadDataset(workspace, config.dataset), config.settings, {
      noTest: config.noTest,
      trainOn: config.trainOn,
    });
    return { train: splits.train.length, val: splits.val.length, test: splits.test.length };
  } catch {
    return null;
  }
}

/**
 * Removes runs for good, all or none of them.
 * @throws Failure `no-run`, `ambiguous-run`; `busy` for one that is being trained
 */
export async function removeRuns(workspace: Workspace, names: readonly string[]): Promise<{ removed: string[] }> {
  const removed = await withIdleRuns(workspace, names, async (runs) => {
    for (const run of runs) {
      // Gone at once: a removal that is cut off leaves no half of a run.
      const doomed = temporaryName(workspace.run(run));
      await rename(workspace.run(run), doomed);
      await rm(doomed, { recursive: true, force: true });
    }
  });
  return { removed };
}

/**
 * Does something to runs while nobody trains them.
 * @returns their ids
 * @throws Failure `no-run`, `ambiguous-run`; `busy` for one that is being trained
 */
export async function withIdleRuns(
  workspace: Workspace,
  names: readonly string[],
  task: (runs: readonly string[]) => Promise<void>,
): Promise<string[]> {
  const runs = await distinctRuns(workspace, names);
  await sweepTemporaries(workspace.runs);
  const releases: (() => Promise<void>)[] = [];
  try {
    // Held while they go, so that no training begins in one of them; a trainer may outlive its command for a moment.
    for (const run of runs)
      for (const lock of ['lock', 'trainerLock'] as const) {
        const release = await takeLock(runFile(workspace, run, lock));
        if (!release) throw new Failure('busy', `Run ${run} is being trained: stop that first, then remove it.`);
        releases.push(release);
      }
    await task(runs);
  } finally {
    for (const release of releases) await release();
  }
  return runs;
}

async function distinctRuns(workspace: Workspace, names: readonly string[]): Promise<string[]> {
  const runs = new Set<string>();
  for (const name of names) runs.add(await findRun(workspace, name));
  return [...runs];
}

/** Sets runs beside each other. @throws Failure `usage` for fewer than two, `no-run`, `ambiguous-run`, `damaged-file` */
export async function compareRuns(workspace: Workspace, names: readonly string[]): Promise<Comparison> {
  const distinct = names.length < 2 ? [] : await distinctRuns(workspace, names);
  if (distinct.length < 2) throw new Failure('usage', 'Comparing takes at least two runs: name another one.');
  const runs: ListedRun[] = [];
  for (const run of distinct) runs.push(await describeRun(workspace, await readConfig(workspace, run)));
  return { runs, differing: differingSettings(runs) };
}

/** learningRate -> "learning rate". */
export function settingInWords(setting: string): string {
  return setting.replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
}

/** The value of a setting, or of `dataset` or `backbone`, of a run. */
export function settingOf(run: ListedRun, setting: string): unknown {
  if (setting === 'dataset' || setting === 'backbone') return run[setting];
  return run.settings[setting];
}

/** Names of what the runs were told differently, in the order in which settings are kept. */
export function differingSettings(runs: readonly ListedRun[]): string[] {
  const names = new Set(['dataset', 'backbone', ...runs.flatMap((run) => Object.keys(run.settings))]);
  return [...names].filter((name) => {
    const [first, ...rest] = runs.map((run) => settingOf(run, name));
    return rest.some((value) => !isDeepStrictEqual(value, first));
  });
}

async function describeRun(workspace: Workspace, config: RunConfig): Promise<ListedRun> {
  const { run, dataset, backbone, parameters, headParameters, engine, device, settings } = config;
  const result = await readResult(workspace, run);
  const note = await readNote(workspace, run);
  const noted = note === '' ? {} : { note };
  if (result !== null) return { ...result, ...noted, state: 'done' };
  const epochs = await readMetrics(runFile(workspace, run, 'metrics'));
  const best = bestEpoch(epochs);
  return {
    run,
    method: settings.method,
    dataset,
    backbone,
    parameters,
    headParameters,
    epochs: epochs.length,
    loss: epochs.at(-1)?.loss ?? null,
    bestEpoch: best?.epoch ?? null,
    val: best?.val ? { top1: best.val.top1, macro: best.val.macro } : null,
    test: null,
    seconds: null,
    peakRssBytes: null,
    featureBytesPerImage: null,
    engine,
    device,
    settings,
    ...noted,
    state: 'unfinished',
  };
}

/** The first of those with the highest val top-1. */
function bestEpoch(epochs: readonly EpochMetrics[]): EpochMetrics | undefined {
  let best: EpochMetrics | undefined;
  for (const epoch of epochs) if (epoch.val && epoch.val.top1 > (best?.val?.top1 ?? -1)) best = epoch;
  return best;
}

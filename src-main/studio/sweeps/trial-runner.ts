import { copyFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { exists } from '../../base/exists.ts';
import { Failure } from '../../base/failure.ts';
import type { Backbone } from '../../backbone/catalogue.ts';
import { mapName, type MapRequest } from '../../backbone/surgery.ts';
import type { DatasetImage } from '../../data/dataset.ts';
import { viewsOf } from '../../data/views.ts';
import { featureBytesPerImage, type FeatureSet } from '../../features/feature-set.ts';
import type { Network } from '../../methods/network.ts';
import { choiceOf, type SweepSpace } from '../../sweep/read-space.ts';
import type { BegunTrial, TrialRunner, TrialToRun } from '../../sweep/trial-runner.ts';
import { applies, type Point, type Value } from '../../sweep/space.ts';
import type { SweepConfig } from '../../sweep/sweep-config.ts';
import type { Extension, TrialEnd, TrialResult } from '../../sweep/sweep-events.ts';
import {
  readExtension,
  readTrialEnd,
  trialFolder,
  trialName,
  writeExtension,
  writeTrialEnd,
} from '../../sweep/sweep-folder.ts';
import type { Trial } from '../../sweep/sweep-state.ts';
import { buildNetwork, type FrozenFacts } from '../../training/build-network.ts';
import type { TrainingJob, TrainingOutcome } from '../../training/job.ts';
import { laneKey } from '../../training/lane-key.ts';
import { defaultMicroBatch } from '../../training/micro-batch.ts';
import { ParameterLayout } from '../../training/parameters.ts';
import {
  readConfigIn,
  readMetrics,
  runFiles,
  writeConfigIn,
  type EpochMetrics,
  type RunConfig,
} from '../../training/run-folder.ts';
import { completeSettings, type Settings } from '../../training/settings.ts';
import type { SplitImages } from '../../training/split-images.ts';
import type { TrainerTask } from '../../training/start-trainer.ts';
import type { Workspace } from '../../workspace/workspace.ts';
import { hashesOf } from '../plan-run.ts';
import { trainTrials } from './train-trials.ts';

/** What all trials of a sweep share. */
export interface TrialGround {
  workspace: Workspace;
  config: SweepConfig;
  space: SweepSpace;
  backbone: Backbone;
  frozen: FrozenFacts;
  /** The images of trials with these settings. */
  splitsOf: (settings: Settings) => SplitImages;
  /** The features of a list of images, those of all maps and views that any trial reads. */
  setOf: (images: readonly DatasetImage[]) => FeatureSet;
}

/** Trains the trials of a sweep, each in a folder of its own. */
export class StudioTrialRunner implements TrialRunner {
  constructor(private readonly ground: TrialGround) {}

  async begun(trial: number): Promise<BegunTrial | undefined> {
    const folder = this.folderOf(trial);
    const config = await readConfigIn(folder).catch(() => undefined);
    if (!config) return undefined;
    const epochs = await readMetrics(join(folder, runFiles.metrics)).catch(() => []);
    // What it was proposed with: what it goes on with has added epochs.
    const proposed = { ...config.settings, epochs: config.restarts?.[0] ?? config.settings.epochs };
    const extension = await readExtension(folder);
    return { point: pointOf(this.ground.space, proposed), extension, epochs, end: await readTrialEnd(folder) };
  }

  /**
   * Goes on from the other's last state, AdamW's moments included: its files are copied. Where its checkpoint is not kept
   * any more, or is damaged, the trial runs from the beginning and comes to the same numbers.
   */
  async extend(trial: number, extension: Extension): Promise<void> {
    const folder = this.folderOf(trial);
    if (await readConfigIn(folder).catch(() => undefined)) return;
    const before = this.folderOf(extension.of);
    const config = await readConfigIn(before);
    const { settings, restarts = [] } = config;
    await writeExtension(folder, extension);
    // The checkpoint last: with it, a trial is taken for one that has begun.
    for (const file of ['metrics', 'best', 'checkpoint'] as const)
      await copyFile(join(before, runFiles[file]), join(folder, runFiles[file])).catch(() => undefined);
    await writeConfigIn(folder, {
      ...config,
      run: this.runOf(trial),
      created: new Date().toISOString(),
      settings: { ...settings, epochs: settings.epochs + extension.by },
      restarts: [...restarts, settings.epochs],
    });
  }

  async settle(trial: number): Promise<void> {
    await rm(join(this.folderOf(trial), runFiles.checkpoint), { force: true });
  }

  shapeOf(point: Point): string {
    const { method, rank, depth, group, upto, batch, pool } = this.settingsOf(point);
    return JSON.stringify([method, rank, depth, group, upto, batch, pool]);
  }

  laneOf(point: Point): string {
    return laneKey(this.settingsOf(point));
  }

  run(trials: readonly TrialToRun[]): Promise<TrialResult>[] {
    const outcomes = trainTrials(
      trials.map((trial) => ({
        signal: trial.signal,
        ready: () => this.ready(trial),
        startOver: () => this.startOver(this.folderOf(trial.trial)),
      })),
    );
    return trials.map(async ({ trial, point }, index) => {
      const outcome = await outcomes[index]!;
      return this.resultOf(await this.configOf(trial, point), outcome);
    });
  }

  async partial({ number, point, epochs, values, losses, bestEpoch }: Readonly<Trial>): Promise<TrialResult | null> {
    const folder = this.folderOf(number);
    const config = await this.configOf(number, point).catch(() => undefined);
    if (!config) return null;
    const metrics = (await readMetrics(join(folder, runFiles.metrics)).catch(() => [])).slice(0, epochs);
    const best = bestEpoch === null ? undefined : metrics[bestEpoch - 1]?.val;
    return {
      ...this.facts(config),
      epochs,
      loss: losses.at(-1) ?? null,
      bestEpoch,
      val: bestEpoch === null ? null : { top1: values[bestEpoch - 1]!, macro: best?.macro ?? 0 },
      test: null,
      seconds: secondsOf(metrics.reduce((sum, { seconds }) => sum + seconds, 0)),
      peakRssBytes: { trainer: Math.max(0, ...metrics.map(({ rssBytes }) => rssBytes)), vit: null },
    };
  }

  async keepEnd(end: TrialEnd): Promise<void> {
    await writeTrialEnd(this.folderOf(end.trial), end);
    if (end.state !== 'done') await this.settle(end.trial);
  }

  /** Damaged features are made anew for all; a full disk stops all. */
  endsSweep(error: unknown): boolean {
    return error instanceof Failure && ['damaged-features', 'disk-full', 'stopped'].includes(error.code);
  }

  settingsOf(point: Point): Settings {
    const { backbone, space } = this.ground;
    const { blocks, width, prefix } = backbone.structure;
    return completeSettings(choiceOf(space, point), { name: backbone.name, blocks, width, prefix });
  }

  private folderOf(trial: number): string {
    const { workspace, config } = this.ground;
    return trialFolder(workspace, config.sweep, trial);
  }

  private runOf(trial: number): string {
    return `${this.ground.config.sweep}-${trialName(trial)}`;
  }

  private async startOver(folder: string): Promise<void> {
    for (const file of ['checkpoint', 'best', 'metrics'] as const)
      await rm(join(folder, runFiles[file]), { force: true });
  }

  /** A trial's training, to begin or to go on; what it has done before is reported. */
  private async ready({ trial, point, signal, onEpoch, onMemory }: TrialToRun): Promise<TrainerTask> {
    const folder = this.folderOf(trial);
    const config = await this.configOf(trial, point);
    const report = (metrics: EpochMetrics) => {
      onMemory(metrics.rssBytes);
      onEpoch(metrics, metrics.epoch === config.settings.epochs);
    };
    const resume = await exists(join(folder, runFiles.checkpoint));
    // Done by an earlier process, and perhaps unsaid.
    if (resume) for (const metrics of await readMetrics(join(folder, runFiles.metrics))) report(metrics);
    return { job: this.jobOf(config, folder, resume), listener: { signal, onEpoch: report } };
  }

  private jobOf(config: RunConfig, folder: string, resume: boolean): TrainingJob {
    const { frozen, splitsOf, setOf } = this.ground;
    const { train, val } = splitsOf(config.settings);
    const labelled = (images: readonly DatasetImage[], views: number) => ({
      features: setOf(images),
      labels: viewsOf(images, views).map(({ label }) => label),
    });
    const { views } = config.settings;
    return { config, folder, frozen, train: labelled(train, views), val: labelled(val, 1), test: null, resume };
  }

  /** The config of a trial, written when it begins. */
  private async configOf(trial: number, point: Point): Promise<RunConfig> {
    const folder = this.folderOf(trial);
    const begun = await readConfigIn(folder).catch(() => undefined);
    if (begun) return begun;
    const { config, frozen, splitsOf, setOf } = this.ground;
    const { dataset, datasetEdits, backbone, backboneSha256, classes, engine, device, threads, stepForms } = config;
    const settings = this.settingsOf(point);
    const splits = splitsOf(settings);
    const network = buildNetwork(settings, frozen, 'plain');
    const layout = new ParameterLayout(network.parameters);
    const set = setOf(splits.train);
    const made: RunConfig = {
      version: 1,
      run: this.runOf(trial),
      created: new Date().toISOString(),
      dataset,
      ...(datasetEdits === undefined ? {} : { datasetEdits }),
      backbone,
      backboneSha256,
      data: hashesOf({ ...splits, test: [] }),
      classes,
      parameters: layout.count('side'),
      headParameters: layout.count('head'),
      settings,
      noTest: true,
      engine,
      device,
      threads,
      stepForm: stepForms[settings.method] ?? 'plain',
      microBatch: defaultMicroBatch(frozen.layout, network.maps.length, settings.batch, threads),
      scales: network.maps.map((map) => set.maps[mapName(map)]!.scale),
    };
    await writeConfigIn(folder, made);
    return made;
  }

  private resultOf(
    config: RunConfig,
    { epochs, loss, bestEpoch, val, seconds, peakRssBytes: peak }: TrainingOutcome,
  ): TrialResult {
    return {
      ...this.facts(config),
      epochs,
      loss,
      bestEpoch,
      val,
      test: null,
      seconds: secondsOf(seconds),
      peakRssBytes: { trainer: peak, vit: config.settings.cache === 'none' ? peak : null },
    };
  }

  /** What of a result is known beforehand. */
  private facts({ run, settings, dataset, backbone, parameters, headParameters, engine, device }: RunConfig) {
    const { frozen, splitsOf, setOf } = this.ground;
    const { maps } = buildNetwork(settings, frozen, 'plain');
    const { method } = settings;
    const bytes = featureBytesPerImage(maps.length, setOf(splitsOf(settings).train));
    return {
      run,
      method,
      dataset,
      backbone,
      parameters,
      headParameters,
      engine,
      device,
      settings,
      featureBytesPerImage: bytes,
    };
  }
}

/** Of the sweep, and not of a trial, is what extraction took. */
function secondsOf(train: number) {
  return { extract: 0, train, total: train };
}

/** The point of a trial with these settings. */
export function pointOf({ space }: SweepSpace, settings: Settings): Point {
  const point: Record<string, Value> = {};
  for (const dimension of space) {
    const value = settings[dimension.name as keyof Settings];
    if (value !== null && applies(dimension, point)) point[dimension.name] = value;
  }
  return point;
}

/** Every map that one of the networks reads, once. */
export function mapsOf(networks: readonly Network[]): MapRequest[] {
  return [...new Map(networks.flatMap(({ maps }) => maps).map((map) => [mapName(map), map])).values()];
}

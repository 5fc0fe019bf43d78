/** The scheduler with trials that take no time: what is left is its own cost. */
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Journal } from '../../../src-main/sweep/journal.ts';
import { prunerOf, type PrunerKind } from '../../../src-main/sweep/pruner.ts';
import { samplerOf, type SamplerKind } from '../../../src-main/sweep/sampler.ts';
import { Scheduler } from '../../../src-main/sweep/schedule.ts';
import type { TrialRunner, TrialToRun } from '../../../src-main/sweep/trial-runner.ts';
import type { Point, Space } from '../../../src-main/sweep/space.ts';
import type { TrialResult } from '../../../src-main/sweep/sweep-events.ts';
import type { EpochMetrics } from '../../../src-main/training/run-folder.ts';
import { SweepState } from '../../../src-main/sweep/sweep-state.ts';

export const SPACE: Space = [
  { kind: 'choice', name: 'method', values: ['linear', 'last', 'miet'] },
  { kind: 'int', name: 'rank', min: 2, max: 32, scale: 'log', when: { name: 'method', values: ['last', 'miet'] } },
  { kind: 'float', name: 'learningRate', min: 1e-4, max: 1e-1, scale: 'log' },
  {
    kind: 'float',
    name: 'dropPath',
    min: 0,
    max: 0.5,
    scale: 'linear',
    when: { name: 'method', values: ['last', 'miet'] },
  },
];

const EPOCHS = 9;

/** Top-1 of a trial that nobody has trained: best at a learning rate of 0.003, and better from epoch to epoch. */
function top1At(point: Point, epoch: number): number {
  const off = Math.abs(Math.log10(Number(point.learningRate)) - Math.log10(3e-3)) / 3;
  const method = { linear: 0, last: 0.1, miet: 0.05 }[String(point.method)] ?? 0;
  return (0.8 + method - off) * (1 - 0.7 ** epoch);
}

/** A trial that ends as soon as it is asked for. */
export async function instantTrial({ trial, point, signal, onEpoch }: TrialToRun): Promise<TrialResult> {
  for (let epoch = 1; epoch <= EPOCHS; epoch++) {
    await Promise.resolve();
    signal.throwIfAborted();
    onEpoch(metricsAt(top1At(point, epoch), epoch), epoch === EPOCHS);
  }
  return resultOf(trial, point);
}

/** A runner whose trials take no time, but for what `run` makes of one. */
export function instantRunner(run = instantTrial): TrialRunner {
  return {
    begun: () => Promise.resolve(undefined),
    extend: () => Promise.resolve(),
    settle: () => Promise.resolve(),
    shapeOf: (point) => String(point.method),
    laneOf: (point) => String(point.method),
    run: (trials) => trials.map((trial) => run(trial)),
    partial: ({ number, point }) => Promise.resolve(resultOf(number, point)),
    keepEnd: () => Promise.resolve(),
    endsSweep: () => false,
  };
}

export function metricsAt(top1: number, epoch: number): EpochMetrics {
  const val = { top1, macro: 0, loss: 1 };
  return { epoch, loss: 1 / epoch, learningRate: 1e-3, val, seconds: 0, rssBytes: 1e8 };
}

function resultOf(trial: number, settings: Point): TrialResult {
  return {
    run: `simulated-${trial}`,
    method: 'linear',
    dataset: 'none',
    backbone: 'none',
    parameters: 0,
    headParameters: 1,
    epochs: EPOCHS,
    loss: 0.1,
    bestEpoch: EPOCHS,
    val: { top1: 0.5, macro: 0.5 },
    test: null,
    seconds: { extract: 0, train: 0, total: 0 },
    peakRssBytes: { trainer: 1e8, vit: null },
    featureBytesPerImage: 0,
    engine: 'none',
    device: 'none',
    settings,
  };
}

export interface Simulated {
  sampler: SamplerKind;
  pruner: PrunerKind;
  trials: number;
  parallel: number;
  lag?: number | null;
  lanes?: number;
}

/** Runs instant trials with everything else as it is, the log on disk included. */
export async function simulate({
  sampler,
  pruner,
  trials,
  parallel,
  lag = null,
  lanes = 1,
}: Simulated): Promise<SweepState> {
  const path = join(tmpdir(), `sweep-scale-${process.pid}-${sampler}.jsonl`);
  const { journal } = await Journal.open(path);
  const state = new SweepState(SPACE);
  const scheduler = new Scheduler({
    sampler: samplerOf(sampler, SPACE, 1),
    pruner: prunerOf(pruner, EPOCHS),
    lag,
    memory: null,
    lanes,
    runner: instantRunner(),
    state,
    keep: (event) => journal.append(event),
    controls: { trials, parallel, stopped: [], extensions: [] },
  });
  try {
    await scheduler.run();
    await journal.sync();
  } finally {
    await journal.close();
    await rm(path, { force: true });
  }
  return state;
}

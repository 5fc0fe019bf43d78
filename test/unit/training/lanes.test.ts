/** Runs trained as lanes of one graph against the same runs trained one by one, from files and to files. */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CompiledEngine } from '../../../src-main/engine/compiled.ts';
import type { LabelledFeatures } from '../../../src-main/training/evaluate-network.ts';
import { buildNetwork } from '../../../src-main/training/build-network.ts';
import { DivergedError } from '../../../src-main/training/epoch.ts';
import type { TrainingJob, TrainingOutcome } from '../../../src-main/training/job.ts';
import { ParameterLayout } from '../../../src-main/training/parameters.ts';
import { readCheckpoint } from '../../../src-main/training/checkpoint.ts';
import type { EpochMetrics } from '../../../src-main/training/run-folder.ts';
import { completeSettings, type SettingsChoice } from '../../../src-main/training/settings.ts';
import { trainLanes, type LaneTask } from '../../../src-main/training/train-lanes.ts';
import { writeRandomFeatures } from '../../bench/random-features.ts';
import { distance } from '../distance.ts';
import { randomFloats } from '../engine/random-floats.ts';
import { someConfig } from './some-config.ts';

const layout = { tokens: 6, width: 16, prefix: 1 };
const frozen = {
  layout,
  blocks: 3,
  classes: 4,
  norm: { scale: randomFloats(16, 90, true), shift: randomFloats(16, 91), epsilon: 1e-6 },
};
const engine = new CompiledEngine({ threads: 1 });
const settingsOf = (choice: Partial<SettingsChoice>) =>
  completeSettings(
    { method: 'last', rank: 3, batch: 8, epochs: 4, seed: 3, ...choice },
    { name: 'vit', blocks: 3, width: 16, prefix: 1 },
  );
/** What may differ from lane to lane. */
const CHOICES: Partial<SettingsChoice>[] = [
  { learningRate: 1e-2 },
  { learningRate: 3e-2, weightDecay: 0.3, labelSmoothing: 0.1 },
  { learningRate: 1e-2, headLearningRate: 1e-3, dropPath: 0.3, epochs: 6 },
  { learningRate: 2e-2, classWeights: 'balanced', epochs: 2 },
];

let folder: string;
let train: LabelledFeatures;
let val: LabelledFeatures;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lanes-'));
  const { maps } = buildNetwork(settingsOf({}), frozen, 'plain');
  const features = async (name: string, images: number): Promise<LabelledFeatures> => {
    await mkdir(join(folder, name));
    const labels = Array.from({ length: images }, (_, i) => (i * i) % 4);
    return { features: await writeRandomFeatures(join(folder, name), layout, maps, images), labels };
  };
  train = await features('train', 30);
  val = await features('val', 12);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function jobOf(name: string, choice: Partial<SettingsChoice>, resume = false): Promise<TrainingJob> {
  await mkdir(join(folder, name), { recursive: true });
  const config = someConfig({ run: name, settings: settingsOf(choice), microBatch: 4 });
  return { config, folder: join(folder, name), frozen, train, val, test: null, resume };
}

interface Ended {
  outcome?: TrainingOutcome;
  error?: unknown;
  epochs: EpochMetrics[];
}

/** Trains jobs as lanes. `stopAfter`: the epoch after which a job is stopped. */
async function trained(
  jobs: readonly TrainingJob[],
  stopAfter: Readonly<Record<string, number>> = {},
): Promise<Ended[]> {
  const ended = jobs.map((): Ended => ({ epochs: [] }));
  const tasks = jobs.map((job, index): LaneTask => {
    const stop = new AbortController();
    return {
      job,
      listener: {
        signal: stop.signal,
        onEpoch: (metrics) => {
          ended[index]!.epochs.push(metrics);
          if (metrics.epoch === stopAfter[job.config.run]) stop.abort(new Error('Enough.'));
        },
        onDone: (outcome) => (ended[index]!.outcome = outcome),
        onFailed: (error) => (ended[index]!.error = error),
      },
    };
  });
  await trainLanes(engine, tasks);
  return ended;
}

/** The numbers of a run: all but times and memory. */
function numbersOf({ outcome, epochs }: Ended) {
  const { seconds: _, peakRssBytes: __, ...result } = outcome!;
  return { ...result, curve: epochs.map(({ epoch, loss, top1, val: score }) => ({ epoch, loss, top1, score })) };
}

/** How far the trained tensors of two runs are apart: the largest of the distances by tensor. */
async function apart(one: string, other: string): Promise<number> {
  const parameters = new ParameterLayout(buildNetwork(settingsOf({}), frozen, 'plain').parameters);
  const tensors = async (name: string) => {
    const { parameters: vector } = await readCheckpoint(join(folder, name, 'checkpoint.safetensors'), parameters);
    return parameters.views(vector);
  };
  const [found, expected] = [await tensors(one), await tensors(other)];
  return Math.max(...Object.entries(expected).map(([name, values]) => distance(found[name]!, values)));
}

describe('lanes', () => {
  const alone: Ended[] = [];
  beforeAll(async () => {
    for (const [index, choice] of CHOICES.entries())
      alone.push(...(await trained([await jobOf(`alone-${index}`, choice)])));
    // They are different runs, and they learn.
    expect(await apart('alone-0', 'alone-2')).toBeGreaterThan(1e-3);
    expect(alone[0]!.epochs.at(-1)!.loss).toBeLessThan(alone[0]!.epochs[0]!.loss);
  });

  it('have the numbers that they have by themselves', async () => {
    const together = await trained(await Promise.all(CHOICES.map((choice, index) => jobOf(`lane-${index}`, choice))));
    expect(together.map(numbersOf)).toEqual(alone.map(numbersOf));
    for (const index of CHOICES.keys()) expect(await apart(`lane-${index}`, `alone-${index}`)).toBeLessThan(1e-5);
  });

  it('leave when stopped or diverging, and the rest goes on undisturbed', async () => {
    const jobs = await Promise.all([
      jobOf('left-0', CHOICES[0]!),
      jobOf('stopped', CHOICES[1]!),
      jobOf('diverging', { learningRate: 1e30 }),
      jobOf('left-2', CHOICES[2]!),
    ]);
    const [first, stopped, diverging, last] = await trained(jobs, { stopped: 1 });
    expect(stopped!.error).toEqual(new Error('Enough.'));
    expect(diverging!.error).toBeInstanceOf(DivergedError);
    expect(numbersOf(first!)).toEqual(numbersOf(alone[0]!));
    expect(numbersOf(last!)).toEqual(numbersOf(alone[2]!));
    expect(await apart('left-2', 'alone-2')).toBeLessThan(1e-5);
  });

  it('cut off at different epochs, catch up and come to the same numbers', async () => {
    await trained([await jobOf('resumed-0', CHOICES[0]!), await jobOf('resumed-2', CHOICES[2]!)], {
      'resumed-0': 1,
      'resumed-2': 3,
    });
    const again = await trained([
      await jobOf('resumed-0', CHOICES[0]!, true),
      await jobOf('resumed-2', CHOICES[2]!, true),
    ]);
    expect(again.map(({ epochs }) => epochs.length)).toEqual([3, 3]);
    expect(again[0]!.outcome).toMatchObject({ loss: alone[0]!.outcome!.loss, val: alone[0]!.outcome!.val });
    expect(again[1]!.outcome).toMatchObject({ loss: alone[2]!.outcome!.loss, val: alone[2]!.outcome!.val });
    expect(await apart('resumed-2', 'alone-2')).toBeLessThan(1e-5);
  });

  it('are refused where they would not read the same batches', async () => {
    const jobs = [await jobOf('one', CHOICES[0]!), await jobOf('other', { seed: 4 })];
    await expect(trained(jobs)).rejects.toThrow(RangeError);
  });
});

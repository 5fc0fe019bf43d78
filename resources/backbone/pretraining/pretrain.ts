/** The pretraining loop: pictures without end, AdamW, a checkpoint now and then, and from it on to the same numbers. */
import { join } from 'node:path';
import { exists } from '../../../src-main/base/exists.ts';
import { Failure } from '../../../src-main/base/failure.ts';
import { CompiledEngine } from '../../../src-main/engine/compiled.ts';
import { readCheckpoint, readCheckpointMetadata, writeCheckpoint } from '../../../src-main/training/checkpoint.ts';
import { Optimizer } from '../../../src-main/training/optimizer.ts';
import type { ParameterLayout } from '../../../src-main/training/parameters.ts';
import { Lane } from './lane.ts';
import type { LaneResult } from './lane.ts';
import { initialParameters, pretrainingLayout, pretrainingProgram } from './objective.ts';
import type { VitShape } from './vit.ts';

export interface PretrainSettings {
  shape: VitShape;
  /** Optimizer steps in all; the schedule is a share of them. */
  steps: number;
  /** Pictures in a step, and in each of the micro-batches that it is made of. */
  batch: number;
  microBatch: number;
  learningRate: number;
  weightDecay: number;
  seed: number;
}

export interface PretrainOptions {
  /** Threads that draw pictures and compute gradients; they change no number. */
  lanes: number;
  /** Seconds between checkpoints. */
  checkpointEvery?: number;
  onStep?: (report: { step: number; steps: number; loss: number }) => void;
  /** Stops after the step in hand, which is kept. */
  signal?: AbortSignal;
}

export interface Pretrained {
  layout: ParameterLayout;
  parameters: Float32Array;
  /** Steps done; fewer than asked for when stopped. */
  step: number;
}

export const CHECKPOINT = 'checkpoint.safetensors';

/** Steps in which the learning rate climbs, and the share of the steps, at the end, in which it falls to 0. */
const WARM_UP = 300;
const COOL_DOWN = 0.25;

/**
 * Share of the peak learning rate: up, level, down in a line (Zhai et al., arXiv 2106.04560, 3.5). As long as it is level
 * the number of steps may still be changed, which a cosine would not allow.
 */
export function rateAt(step: number, steps: number): number {
  return Math.min(1, (step + 1) / WARM_UP, (steps - step) / (COOL_DOWN * steps));
}

/**
 * Pretrains, from the folder's checkpoint where there is one. Every picture is new: the number of the step decides
 * which are seen, so nothing but the checkpoint is needed to go on, and to the same bits.
 * @throws Failure `settings` where the checkpoint was made with others
 */
export async function pretrain(
  folder: string,
  settings: PretrainSettings,
  { lanes, checkpointEvery = 180, onStep, signal }: PretrainOptions,
): Promise<Pretrained> {
  const { shape, steps, batch, microBatch, learningRate, weightDecay, seed } = settings;
  if (batch % microBatch !== 0) throw new RangeError(`Batch ${batch} is no multiple of the micro-batch ${microBatch}.`);
  const path = join(folder, CHECKPOINT);
  const layout = pretrainingLayout(shape);
  const start = await startingPoint(path, layout, settings);
  const engine = new CompiledEngine({ threads: 1 });
  const optimizer = await Optimizer.create(engine, layout, weightDecay, start);
  const program = await engine.lower(pretrainingProgram(shape, layout, microBatch));
  const task = { program, size: microBatch, share: 1 / batch, seed };
  const opened = await Promise.all(Array.from({ length: lanes }, () => Lane.open(task)));
  let step = start.step;
  const save = async () => {
    const { parameters, mean, variance } = optimizer;
    await writeCheckpoint(path, layout, { epoch: step, parameters, mean, variance }, { settings: key(settings) });
  };
  try {
    let saved = performance.now();
    while (step < steps && !signal?.aborted) {
      const firsts = Array.from({ length: batch / microBatch }, (_, part) => step * batch + part * microBatch);
      const { gradient, loss } = await sumOver(opened, optimizer.parameters, firsts);
      if (!Number.isFinite(loss)) throw new Failure('diverged', `The loss stopped being a number in step ${step + 1}.`);
      const rate = learningRate * rateAt(step, steps);
      await optimizer.apply(gradient, step, { side: rate, head: rate });
      step++;
      onStep?.({ step, steps, loss });
      if (performance.now() - saved < checkpointEvery * 1000) continue;
      await save();
      saved = performance.now();
    }
    await save();
    return { layout, parameters: optimizer.parameters, step };
  } finally {
    await Promise.all(opened.map((lane) => lane.close()));
    await optimizer.close();
  }
}

/** What two parts of one pretraining have to agree in. */
function key({ shape, batch, microBatch, learningRate, weightDecay, seed }: PretrainSettings): string {
  return JSON.stringify({ shape, batch, microBatch, learningRate, weightDecay, seed });
}

async function startingPoint(path: string, layout: ParameterLayout, settings: PretrainSettings) {
  if (!(await exists(path))) {
    return { step: 0, parameters: initialParameters(settings.shape, layout, settings.seed) };
  }
  const { settings: before } = await readCheckpointMetadata(path);
  if (before !== key(settings)) {
    throw new Failure(
      'settings',
      `The checkpoint "${path}" was made with other settings (${before ?? 'none'}): give the same, or another folder.`,
    );
  }
  const { epoch, ...vectors } = await readCheckpoint(path, layout);
  return { step: epoch, ...vectors };
}

/** Micro-batches go to whichever lane is free; they are added up in their own order, so that the sum has one value. */
async function sumOver(
  lanes: readonly Lane[],
  parameters: Float32Array,
  firsts: readonly number[],
): Promise<LaneResult> {
  const results = new Array<LaneResult>(firsts.length);
  let next = 0;
  await Promise.all(
    lanes.map(async (lane) => {
      while (next < firsts.length) {
        const part = next++;
        results[part] = await lane.run(parameters, firsts[part]!);
      }
    }),
  );
  return results.reduce((sum, { gradient, loss }) => {
    for (let i = 0; i < gradient.length; i++) sum.gradient[i]! += gradient[i]!;
    return { gradient: sum.gradient, loss: sum.loss + loss };
  });
}

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { completeSettings } from '../../../src-main/training/settings.ts';
import { chooseFrom, chooseStep } from '../../../src-main/training/probe/step-choice.ts';
import type { StepQuestion, TimedStep } from '../../../src-main/training/probe/step-question.ts';
import { microBatches, probeSteps } from '../../../src-main/training/probe/step-probe.ts';
import { Workspace } from '../../../src-main/workspace/workspace.ts';

const timed = (stepForm: TimedStep['stepForm'], microBatch: number, msPerImage: number): TimedStep => ({
  stepForm,
  microBatch,
  msPerImage,
});

describe('the choice of a step', () => {
  it('is the fastest, whatever the order in which it was timed', () => {
    const steps = [timed('low-rank', 4, 5), timed('plain', 8, 9), timed('plain', 2, 12), timed('plain', 4, 10)];
    expect(chooseFrom(steps)).toEqual({ stepForm: 'low-rank', microBatch: 4 });
    expect(chooseFrom(steps.toReversed())).toEqual({ stepForm: 'low-rank', microBatch: 4 });
  });

  it('leaves larger micro-batches and the low-rank form alone where they are hardly faster', () => {
    const steps = [timed('plain', 2, 10), timed('plain', 4, 9.8), timed('low-rank', 2, 9.6)];
    expect(chooseFrom(steps)).toEqual({ stepForm: 'plain', microBatch: 2 });
  });

  it('is among the steps of the form that is asked for', () => {
    const steps = [timed('plain', 2, 10), timed('low-rank', 2, 30), timed('low-rank', 4, 20)];
    expect(chooseFrom(steps, 'low-rank')).toEqual({ stepForm: 'low-rank', microBatch: 4 });
    expect(chooseFrom([timed('plain', 2, 10)], 'low-rank')).toBeUndefined();
  });
});

it('micro-batches are powers of two up to a thread’s share of the batch, and that share', () => {
  expect(microBatches(32, 2)).toEqual([1, 2, 4, 8, 16]);
  expect(microBatches(32, 3)).toEqual([1, 2, 4, 8, 11]);
  expect(microBatches(1, 4)).toEqual([1]);
});

it('takes no more images together than there are', async () => {
  const settings = completeSettings(
    { method: 'linear', batch: 1_000_000_000 },
    { name: 'vit', blocks: 2, width: 16, prefix: 1 },
  );
  const norm = { scale: new Float32Array(16), shift: new Float32Array(16), epsilon: 1e-6 };
  const frozen = { layout: { tokens: 5, width: 16, prefix: 1 }, blocks: 2, classes: 3, norm };
  const folder = await mkdtemp(join(tmpdir(), 'step-choice-'));
  try {
    const question: StepQuestion = { settings, frozen, threads: 2, engine: 'compiled' };
    const chosen = await chooseStep(await Workspace.open(folder), question, 40);
    expect(chosen).toEqual({ stepForm: 'plain', microBatch: 40 });
  } finally {
    await rm(folder, { recursive: true });
  }
});

it('times both forms of the real gradient, neighbours of the usual micro-batch among them', async () => {
  const settings = completeSettings(
    { method: 'last', batch: 4, dropPath: 0.1 },
    { name: 'vit', blocks: 2, width: 192, prefix: 1 },
  );
  const width = 16;
  const norm = { scale: new Float32Array(width).fill(1), shift: new Float32Array(width), epsilon: 1e-6 };
  const layout = { tokens: 5, width, prefix: 1 };
  const question: StepQuestion = {
    settings,
    frozen: { layout, blocks: 2, classes: 3, norm },
    threads: 1,
    engine: 'compiled',
  };
  const steps: TimedStep[] = [];
  await probeSteps(question, (step) => steps.push(step));
  expect(steps[0]).toMatchObject({ stepForm: 'plain', microBatch: 4 });
  expect(steps[1]).toMatchObject({ stepForm: 'plain', microBatch: 2 });
  expect(steps.some(({ stepForm }) => stepForm === 'low-rank')).toBe(true);
  expect(steps.every(({ msPerImage }) => msPerImage > 0 && msPerImage < 1000)).toBe(true);
});

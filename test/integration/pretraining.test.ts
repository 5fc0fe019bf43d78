import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Failure } from '../../src-main/base/failure.ts';
import { pretrain, rateAt } from '../../resources/backbone/pretraining/pretrain.ts';
import type { PretrainSettings } from '../../resources/backbone/pretraining/pretrain.ts';

const settings: PretrainSettings = {
  shape: { size: 64, patch: 8, width: 12, blocks: 1, heads: 2 },
  steps: 3,
  batch: 4,
  microBatch: 2,
  learningRate: 1e-3,
  weightDecay: 0.05,
  seed: 1,
};

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sidetune-pretrain-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

describe('pretraining', () => {
  it('goes on after a stop to the same bits, whatever the number of threads', async () => {
    const losses: number[] = [];
    const whole = await pretrain(join(folder, 'whole'), settings, {
      lanes: 1,
      onStep: ({ loss }) => losses.push(loss),
    });
    expect(whole.step).toBe(3);
    expect(losses.every((loss) => loss > 1 && loss < 100)).toBe(true);

    const stop = new AbortController();
    const parts = join(folder, 'parts');
    const first = await pretrain(parts, settings, { lanes: 2, signal: stop.signal, onStep: () => stop.abort() });
    expect(first.step).toBe(1);
    expect(first.parameters).not.toEqual(whole.parameters);
    const steps: number[] = [];
    const rest = await pretrain(parts, settings, { lanes: 2, onStep: ({ step }) => steps.push(step) });
    expect(steps).toEqual([2, 3]);
    expect(rest.parameters).toEqual(whole.parameters);
  });

  it('refuses a checkpoint of other settings', async () => {
    await pretrain(folder, { ...settings, steps: 1 }, { lanes: 1 });
    const other = pretrain(folder, { ...settings, seed: 2 }, { lanes: 1 });
    await expect(other).rejects.toThrow(Failure);
    await expect(other).rejects.toThrow(/other settings .*"seed":1/);
  });
});

describe('rateAt', () => {
  it('climbs, stays and falls to nearly nothing', () => {
    expect(rateAt(0, 10_000)).toBeCloseTo(1 / 300);
    expect(rateAt(299, 10_000)).toBe(1);
    expect(rateAt(7_500, 10_000)).toBe(1);
    expect(rateAt(8_750, 10_000)).toBeCloseTo(0.5);
    expect(rateAt(9_999, 10_000)).toBeLessThan(0.001);
    // What was level stays so when the end moves.
    expect(rateAt(5_000, 8_000)).toBe(rateAt(5_000, 10_000));
  });
});

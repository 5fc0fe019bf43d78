/** What is asked of a sweep while it runs, by whoever may write its controls. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { writePlainVit } from '../../src-main/backbone/plain-vit.ts';
import { writeOrientationSet } from '../../src-main/data/sample/orientation.ts';
import { addBackbone } from '../../src-main/studio/backbones.ts';
import { addDataset } from '../../src-main/studio/datasets/datasets.ts';
import { resumeSweep, startSweep } from '../../src-main/studio/sweeps/run-sweep.ts';
import { askOfSweep, listSweeps, showSweep } from '../../src-main/studio/sweeps/sweeps.ts';
import { Workspace } from '../../src-main/workspace/workspace.ts';

let folder: string;
let workspace: Workspace;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sweep-controls-'));
  workspace = await Workspace.open(join(folder, 'workspace'));
  await writeOrientationSet(join(folder, 'hearts'), { train: 32, val: 16, test: 0, size: 32, seed: 2 });
  await writeFile(join(folder, 'vit.onnx'), writePlainVit({ size: 16, patch: 4, width: 12, blocks: 2, heads: 3 }));
  await addDataset(workspace, { path: join(folder, 'hearts') });
  await addBackbone(workspace, { file: join(folder, 'vit.onnx') });
});
afterEach(() => rm(folder, { recursive: true }));

it('more trials, more at a time, the best gone on with, the sweep stopped', async () => {
  const space = { method: 'linear', learningRate: { min: 1e-3, max: 1e-1 }, epochs: 1 };
  const what = {
    dataset: 'hearts',
    backbone: 'vit',
    space,
    sampler: 'random',
    trials: 3,
    parallel: 1,
    lanes: 1,
  } as const;
  const asking = async () => {
    while (!(await listSweeps(workspace))[0]?.trials.done) await pause(20);
    await askOfSweep(workspace, 'latest', { trials: 4, parallel: 2, extend: { trials: { best: 1 }, epochs: 2 } });
    await askOfSweep(workspace, 'latest', { stop: true });
  };
  const begun = startSweep(workspace, what);
  const asked = asking();
  await expect(begun).rejects.toMatchObject({ code: 'stopped', message: /goes on with it/ });
  await asked;
  const stopped = await showSweep(workspace, 'latest');
  expect(stopped).toMatchObject({ standing: 'unfinished', asked: { trials: 4, parallel: 2 }, trials: { wanted: 5 } });

  const { trials } = await resumeSweep(workspace, stopped.sweep);
  expect(trials).toHaveLength(5);
  expect(trials.filter(({ extension }) => extension)).toMatchObject([
    { extension: { by: 2 }, epochs: 3, state: 'done' },
  ]);
  await expect(askOfSweep(workspace, 'latest', { extend: { trials: [17], epochs: 1 } })).rejects.toMatchObject({
    code: 'no-trial',
    message: /has no trial 17 that came to its end/,
  });
  await expect(askOfSweep(workspace, 'latest', { stop: true })).rejects.toMatchObject({ code: 'not-running' });
});

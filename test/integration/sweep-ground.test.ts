/** What a sweep trains on is removed: it says so, loses nothing, and goes on once it is back. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { writePlainVit } from '../../src-main/backbone/plain-vit.ts';
import { writeOrientationSet } from '../../src-main/data/sample/orientation.ts';
import { addBackbone, removeBackbone } from '../../src-main/studio/backbones.ts';
import { addDataset, removeDataset } from '../../src-main/studio/datasets/datasets.ts';
import { resumeSweep, startSweep, type SweepAnswer } from '../../src-main/studio/sweeps/run-sweep.ts';
import { promoteNamed, retrainTrial } from '../../src-main/studio/sweeps/sweep-winner.ts';
import { sweepFile } from '../../src-main/sweep/sweep-folder.ts';
import { takeLock } from '../../src-main/workspace/lock.ts';
import { Workspace } from '../../src-main/workspace/workspace.ts';

let folder: string;
let workspace: Workspace;
let whole: SweepAnswer;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sweep ground '));
  workspace = await Workspace.open(join(folder, 'workspace'));
  await writeOrientationSet(join(folder, 'hearts'), { train: 32, val: 16, test: 0, size: 32, seed: 2 });
  await writeFile(join(folder, 'vit.onnx'), writePlainVit({ size: 16, patch: 4, width: 12, blocks: 2, heads: 3 }));
  await addDataset(workspace, { path: join(folder, 'hearts') });
  await addBackbone(workspace, { file: join(folder, 'vit.onnx') });
  const space = { method: 'linear', learningRate: [1e-3, 3e-3, 1e-2], epochs: 1 };
  whole = await startSweep(workspace, { dataset: 'hearts', backbone: 'vit', space, sampler: 'random', trials: 1 });
});
afterAll(() => rm(folder, { recursive: true }));

it('a backbone', async () => {
  const { sweep } = whole;
  await rm(join(workspace.root, 'runs'), { recursive: true });
  await expect(removeBackbone(workspace, 'vit')).rejects.toMatchObject({ code: 'in-use', message: /sweep "hearts-/ });
  await removeBackbone(workspace, 'vit', { force: true });
  await expect(resumeSweep(workspace, sweep, { trials: 2 })).rejects.toMatchObject({
    code: 'unknown-backbone',
    message: /^The backbone "vit" of sweep hearts-\S+ was removed .* --name vit"; the trials are kept/,
  });
  await addBackbone(workspace, { file: join(folder, 'vit.onnx') });
  const more = await resumeSweep(workspace, sweep, { trials: 2 });
  expect(more.trials[0]).toEqual(whole.trials[0]);
  expect(more.trials).toHaveLength(2);
});

it('a dataset, though not while the sweep runs', async () => {
  const { sweep } = whole;
  const release = (await takeLock(sweepFile(workspace, sweep, 'lock')))!;
  await expect(removeDataset(workspace, 'hearts')).rejects.toMatchObject({
    code: 'in-use',
    message: /is running on it/,
  });
  await release();
  expect(await removeDataset(workspace, 'hearts')).toMatchObject({ sweeps: 1 });
  for (const asked of [resumeSweep(workspace, sweep, { trials: 3 }), retrainTrial(workspace, sweep, 0)])
    await expect(asked).rejects.toMatchObject({ code: 'no-dataset', message: /the trials are kept/ });
  // What is kept of a trial is enough to make it a run.
  expect((await promoteNamed(workspace, sweep, 0)).val).toEqual(whole.trials[0]!.val);
  await addDataset(workspace, { path: join(folder, 'hearts') });
  const more = await resumeSweep(workspace, sweep, { trials: 3 });
  expect(more.trials[0]).toEqual(whole.trials[0]);
  expect(more.trials).toHaveLength(3);
});

/** The feature cache as a user sees it: listed by dataset and backbone, and cleared, but for what is being used. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { whileInUse } from '../../src-main/features/folders-in-use.ts';
import { editDataset } from '../../src-main/studio/datasets/dataset-edits.ts';
import { clearFeatures, listFeatures } from '../../src-main/studio/features.ts';
import { Workspace } from '../../src-main/workspace/workspace.ts';
import { runCli } from './cli/run-cli.ts';
import { Stage } from './stage.ts';

let stage: Stage;
let workspace: Workspace;
beforeAll(async () => {
  stage = await Stage.set();
  await stage.train('w', '--method', 'linear', '--epochs', '1');
  workspace = await Workspace.open(stage.workspace('w'));
});
afterAll(() => stage.clear());

const cli = (...args: string[]) => runCli(['features', ...args, '--workspace', workspace.root]);

it('of the list that an edit has changed is unused, and cleared by itself', async () => {
  const before = (await listFeatures(workspace)).features[0]!;
  expect(before.unusedBytes).toBe(0);
  await editDataset(workspace, 'hearts', { kind: 'exclude', images: [0] });
  const { unusedBytes } = (await listFeatures(workspace)).features[0]!;
  expect(unusedBytes).toBeGreaterThan(0);
  const freed = await cli('clear', '--unused', '--json');
  expect(freed.json).toMatchObject({ bytes: unusedBytes, cleared: [{ dataset: 'hearts' }], inUse: [] });
  // The run of before the edit still has val and test, which are what they were.
  const after = (await listFeatures(workspace)).features[0]!;
  expect([after.unusedBytes, after.keys.length]).toEqual([0, before.keys.length - 1]);
});

it('is listed, spared where it is used, and cleared', async () => {
  const { features, bytes } = await listFeatures(workspace);
  expect(features).toMatchObject([{ dataset: 'hearts', source: stage.dataset, backbone: 'vit', inUse: false, bytes }]);
  // No mark of the training is left.
  expect(readdirSync(workspace.feature(features[0]!.keys[0]!)).sort()).toEqual([
    'about.json',
    'base.safetensors',
    'rows.json',
  ]);
  const listed = await cli('list', '--json');
  expect(listed.json).toEqual({ features, bytes });
  expect((await cli('list')).stdout).toMatch(/hearts +vit +[\d.]+ kB/);

  const which = await cli('clear');
  expect(which).toMatchObject({ code: 2, stderr: expect.stringContaining('Say which features to clear') as string });
  expect((await cli('clear', '--dataset', 'other', '--json')).json).toEqual({ bytes: 0, cleared: [], inUse: [] });

  const keys = features[0]!.keys;
  await whileInUse([workspace.feature(keys[0]!)], async () => {
    expect((await listFeatures(workspace)).features).toMatchObject([{ inUse: true }]);
    // By another process too.
    const spared = await cli('clear', '--dataset', 'hearts', '--backbone', 'vit', '--json');
    expect(spared.json).toMatchObject({ cleared: [], inUse: [{ dataset: 'hearts' }] });
    expect(spared.stderr).toContain('Features of hearts and vit are being used by a running task and were left.');
    expect(existsSync(join(workspace.feature(keys[0]!), 'base.safetensors'))).toBe(true);
  });

  const rest = await listFeatures(workspace);
  const cleared = await clearFeatures(workspace, { all: true });
  expect(cleared).toMatchObject({ bytes: rest.bytes, inUse: [] });
  expect(readdirSync(workspace.features)).toEqual([]);
  expect((await cli('list')).stdout).toBe('No features are kept.\n');
});

it('leaves no empty folder behind where a task came to nothing', async () => {
  const folder = workspace.feature('a'.repeat(24));
  await expect(whileInUse([folder], () => Promise.reject(new Error('no')))).rejects.toThrow('no');
  expect(existsSync(folder)).toBe(false);
});

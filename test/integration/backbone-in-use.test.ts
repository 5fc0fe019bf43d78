import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { writePlainVit } from '../../src-main/backbone/plain-vit.ts';
import { addBackbone, removeBackbone } from '../../src-main/studio/backbones.ts';
import { listRuns } from '../../src-main/studio/runs.ts';
import { openRun } from '../../src-main/training/open-run.ts';
import { writeConfig } from '../../src-main/training/run-folder.ts';
import { Workspace } from '../../src-main/workspace/workspace.ts';
import { someConfig } from '../unit/training/some-config.ts';

let folder: string;
let workspace: Workspace;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'backbone in use '));
  workspace = await Workspace.open(join(folder, 'workspace'));
});
afterEach(() => rm(folder, { recursive: true }));

const writeRun = (run: string) => writeConfig(workspace, someConfig({ run }));

it('a backbone that runs need is removed only by force, and its runs stay', async () => {
  const file = join(folder, 'vit.onnx');
  await writeFile(file, writePlainVit({ size: 16, patch: 4, width: 12, blocks: 2, heads: 3 }));
  await addBackbone(workspace, { file });
  await writeRun('one');
  await expect(removeBackbone(workspace, 'vit')).rejects.toMatchObject({
    code: 'in-use',
    message:
      'Backbone "vit" was not removed: run "one" was made with it and could no longer predict, be evaluated or be exported; --force removes it all the same.',
  });
  await writeRun('two');
  await expect(removeBackbone(workspace, 'vit')).rejects.toThrow(/2 runs were, "one" among them, made with it/);
  await removeBackbone(workspace, 'vit', { force: true });
  expect((await listRuns(workspace)).runs.map(({ run }) => run)).toEqual(['one', 'two']);
  await expect(openRun(workspace, 'one')).rejects.toThrow(/The workspace has no backbone "vit"/);
});

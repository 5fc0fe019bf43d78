/** Edits of a dataset: they outlive the process, other imports, and the runs made before them. */
import { appendFile, cp, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { writePlainVit } from '../../src-main/backbone/plain-vit.ts';
import { datasetSummary } from '../../src-main/data/dataset.ts';
import { loadDataset } from '../../src-main/data/dataset-store.ts';
import {
  editDataset,
  listEdits,
  placesOf,
  stepEdits,
  type EditWish,
} from '../../src-main/studio/datasets/dataset-edits.ts';
import { listDatasets, showDataset } from '../../src-main/studio/datasets/datasets.ts';
import { Workspace } from '../../src-main/workspace/workspace.ts';
import { runCli } from './cli/run-cli.ts';
import { paint } from './paint.ts';

let base: string;
let images: string;
beforeAll(async () => {
  base = await mkdtemp(join(tmpdir(), 'edits-'));
  images = join(base, 'pets');
  let colour = 0;
  for (const name of ['cat', 'dog', 'wolf'])
    for (let index = 0; index < 10; index++) await paint(join(images, name, `${index}.png`), colour++);
  await writeFile(join(images, 'cat', 'broken.png'), 'no picture');
  await writeFile(join(base, 'vit.onnx'), writePlainVit({ size: 16, patch: 4, width: 12, blocks: 2, heads: 3 }));
  expect(await ok('datasets', 'add', images)).toMatchObject({ splits: { train: 24, val: 6 } });
});
afterAll(() => rm(base, { recursive: true, force: true }));

const cli = (...args: string[]) => runCli(['--workspace', join(base, 'workspace'), '--json', ...args]);

async function ok(...args: string[]): Promise<unknown> {
  const ended = await cli(...args);
  expect(ended.code, ended.stderr).toBe(0);
  return ended.json;
}
const edit = (...args: string[]) => ok('datasets', 'edit', 'pets', ...args);

describe('edits of a dataset', () => {
  it('say of a file that is no image of it why, and of one that was never there where to look', async () => {
    const workspace = await Workspace.open(join(base, 'workspace'));
    const at = (path: string) => placesOf(workspace, 'pets', [path]);
    await expect(at('cat/broken.png')).rejects.toThrow(/is none of the images of dataset pets; .* cannot be read/);
    await expect(at('cat/99.png')).rejects.toThrow(`has no image "cat/99.png": give its path in "${images}".`);
  });

  it('change what is used and no file, one after the other, and are taken back', async () => {
    const workspace = await Workspace.open(join(base, 'workspace'));
    const shown = () => showDataset(workspace, 'pets');
    const before = await shown();
    const file = join(images, 'cat', '3.png');
    const { mtimeMs } = await stat(file);
    const at = (...paths: string[]) => placesOf(workspace, 'pets', paths);
    const wishes: EditWish[] = [
      { kind: 'rename-class', class: 'wolf', to: 'grey wolf' },
      { kind: 'merge-classes', classes: ['grey wolf'], into: 'dog' },
      { kind: 'move-to-class', images: await at('cat/1.png', join(images, 'cat/2.png')), class: 'lynx' },
      { kind: 'exclude', images: await at('cat/3.png') },
      { kind: 'split', val: 0.3, test: 0.2, seed: 5 },
      { kind: 'move-to-split', images: await at('cat/4.png'), split: 'test' },
    ];
    const changed: number[] = [];
    for (const wish of wishes) changed.push((await editDataset(workspace, 'pets', wish)).changed);
    expect(changed).toEqual([10, 10, 2, 1, 29, 1]);
    const edited = await shown();
    expect(edited).toMatchObject({ classes: ['cat', 'dog', 'lynx'], excluded: 1 });
    expect((await listDatasets(workspace))[0]).toEqual(datasetSummary(await loadDataset(workspace, 'pets')));
    for (const _ of wishes) await stepEdits(workspace, 'pets', 'undo');
    expect(await shown()).toEqual(before);
    for (const _ of wishes) await stepEdits(workspace, 'pets', 'redo');
    expect(await shown()).toEqual(edited);
    // A line that a kill has torn counts for nothing.
    await appendFile(join(workspace.dataset('pets'), 'edits.jsonl'), '{"at": "20');
    expect(await shown()).toEqual(edited);
    for (const _ of wishes) await stepEdits(workspace, 'pets', 'undo');
    const listed = await listEdits(workspace, 'pets');
    expect(listed.map(({ state, edit: { kind } }) => [state, kind])).toEqual(
      wishes.map(({ kind }) => ['undone', kind]),
    );
    expect((await stat(file)).mtimeMs).toBe(mtimeMs);
    expect(await readdir(join(images, 'cat'))).toHaveLength(11);

    const refused: [EditWish, RegExp][] = [
      [{ kind: 'rename-class', class: 'Cat', to: 'lion' }, /no class "Cat": did you mean "cat"/],
      [{ kind: 'rename-class', class: 'cat', to: 'DOG' }, /There is a class "dog" already/],
      [{ kind: 'rename-class', class: 'cat', to: ' ' }, /cannot name a class/],
      [{ kind: 'include', images: [1] }, /included already/],
      [{ kind: 'exclude', images: [77] }, /no image 77/],
      [{ kind: 'exclude', images: [...Array(30).keys()] }, /without an image to train on/],
      [{ kind: 'split', val: 0.8, test: 0.8, seed: 1 }, /smaller val and test/],
    ];
    for (const [wish, sentence] of refused)
      await expect(editDataset(workspace, 'pets', wish), JSON.stringify(wish)).rejects.toThrow(sentence);
    await expect(stepEdits(workspace, 'pets', 'undo')).rejects.toThrow(/no edit of pets to undo/);
    await expect(at('cat/77.png')).rejects.toThrow(/no image "cat\/77.png"/);
  });

  it('are asked for by the command, whose misuse is one sentence', async () => {
    expect(await edit('exclude', 'cat/3.png')).toMatchObject({
      name: 'pets',
      excluded: 1,
      changed: 1,
      edit: { kind: 'exclude', images: 1, first: 'cat/3.png' },
    });
    expect(await edit('undo')).toMatchObject({ changed: 1 });
    for (const [args, code, sentence] of [
      [['rename-class', 'Cat', 'lion'], 1, /no class "Cat": did you mean "cat"/],
      [['split', '--val', 'half'], 2, /--val takes a number/],
      [['move', 'cat/1.png'], 2, /is used as/],
      [['exclude', 'cat/1.png', '--into', 'dog'], 2, /--into does not go with exclude/],
      [['rename-class', 'cat'], 2, /is used as: sidetune datasets edit NAME rename-class OLD NEW/],
      [['paint', 'cat'], 2, /rename-class/],
    ] as const) {
      const ended = await cli('datasets', 'edit', 'pets', ...args);
      expect(ended.code).toBe(code);
      expect(ended.stderr).toMatch(sentence);
      expect(ended.stderr.trim().split('\n')).toHaveLength(1);
    }
  });

  it('keeps a run on the data it was trained with, and trains the next on the edited', async () => {
    const train = (...more: string[]) =>
      ok(
        ...['train', '--dataset', 'pets', '--backbone', join(base, 'vit.onnx'), '--method', 'linear'],
        ...['--epochs', '2', '--threads', '1', ...more],
      ) as Promise<{ run: string; val: unknown }>;
    const first = await train();
    const before = await ok('evaluate', first.run);
    await edit('merge-classes', 'wolf', '--into', 'dog');
    await edit('exclude', 'dog/1.png', 'dog/2.png');
    const again = await cli('evaluate', first.run);
    expect(again.json).toEqual(before);
    expect(again.stderr).toMatch(/was edited after run .* began/);
    expect(await ok('export', first.run, '--out', join(base, 'out'), '--form', 'adaptor')).toMatchObject({
      run: first.run,
    });
    const second = await train();
    expect((await ok('evaluate', second.run)) as object).toMatchObject({
      perClass: [{ class: 'cat' }, { class: 'dog' }],
    });
    await edit('undo');
    await edit('undo');
  });

  it('keeps edits when the folder is imported again, and says what they no longer apply to', async () => {
    await edit('exclude', 'cat/0.png', 'cat/1.png');
    await edit('rename-class', 'wolf', 'lupus');
    await rm(join(images, 'cat', '0.png'));
    await cp(join(images, 'dog', '0.png'), join(images, 'dog', 'copy.png'));
    const ended = await cli('datasets', 'add', images);
    expect(ended.json).toMatchObject({ classes: ['cat', 'dog', 'lupus'], excluded: 1 });
    expect(ended.stderr).toMatch(
      /"exclude 2 images" of pets applies in part or not at all: 1 of 2 images is no longer there/,
    );
    expect(await ok('datasets', 'edits', 'pets')).toMatchObject({
      edits: [
        { changed: 1, lost: '1 of 2 images is no longer there.' },
        { changed: 10, lost: null },
      ],
    });
    // Also as a copy, which has other paths.
    expect(await ok('datasets', 'add', images, '--copy', '--name', 'pets')).toMatchObject({ excluded: 1 });
    expect((await edit('undo')) as object).toMatchObject({ classes: ['cat', 'dog', 'wolf'] });
  });
});

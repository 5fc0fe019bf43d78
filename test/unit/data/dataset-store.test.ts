import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { contentHash, datasetSummary, imagePath, imagesOf } from '../../../src-main/data/dataset.ts';
import type { Dataset } from '../../../src-main/data/dataset.ts';
import { listDatasets, loadDataset, removeDataset, saveDataset } from '../../../src-main/data/dataset-store.ts';
import { Workspace } from '../../../src-main/workspace/workspace.ts';

let workspace: Workspace;
beforeAll(async () => {
  workspace = await Workspace.open(await mkdtemp(join(tmpdir(), 'store-')));
});
afterAll(() => rm(workspace.root, { recursive: true }));

const dataset: Dataset = {
  name: 'pets',
  source: '/data/pets',
  format: 'folder',
  classes: ['cat', 'dog'],
  images: [
    { path: 'cat/1\n"é".png', label: 0, split: 'train', bytes: 10, mtimeMs: 1.5, sha256: 'aa' },
    { path: '/other/2.png', label: 1, split: 'val', bytes: 20, mtimeMs: 2, sha256: 'bb' },
  ],
  problems: [{ kind: 'bad-image', path: '/data/pets/x.png', message: 'x' }],
};

describe('datasets in a workspace', () => {
  it('come back as they were saved', async () => {
    await saveDataset(workspace, dataset);
    expect(await loadDataset(workspace, 'pets')).toEqual(dataset);
    expect(await listDatasets(workspace)).toEqual([datasetSummary(dataset)]);
    expect(datasetSummary(dataset)).toEqual({
      name: 'pets',
      classes: ['cat', 'dog'],
      splits: { train: 1, val: 1 },
      problems: dataset.problems,
    });
  });

  it('may be renamed by hand', async () => {
    await saveDataset(workspace, { ...dataset, name: 'before' });
    await rename(workspace.dataset('before'), workspace.dataset('after'));
    expect((await loadDataset(workspace, 'after')).name).toBe('after');
  });

  it('that were cut short say so, and do not hide the others', async () => {
    await saveDataset(workspace, { ...dataset, name: 'cut' });
    const path = join(workspace.dataset('cut'), 'images.jsonl');
    await writeFile(path, (await readFile(path, 'utf8')).slice(0, -20));
    await expect(loadDataset(workspace, 'cut')).rejects.toThrow(/images.jsonl" is damaged: remove the dataset "cut"/);
    await mkdir(workspace.dataset('broken'));
    await writeFile(join(workspace.dataset('broken'), 'dataset.json'), '{"version": 9}');
    await expect(loadDataset(workspace, 'broken')).rejects.toThrow(/damaged/);
    const listed = await listDatasets(workspace);
    expect(listed.map(({ name }) => name)).toEqual(['after', 'broken', 'cut', 'pets']);
    expect(listed[1]?.problems[0]?.kind).toBe('damaged-file');
  });

  it('are forgotten on request', async () => {
    await removeDataset(workspace, 'broken');
    await expect(loadDataset(workspace, 'broken')).rejects.toMatchObject({ code: 'no-dataset' });
    await expect(removeDataset(workspace, 'broken')).rejects.toThrow(/no dataset "broken"/);
  });
});

describe('a dataset', () => {
  it('resolves its images, whichever way they are kept', () => {
    expect(dataset.images.map((image) => imagePath(dataset, image))).toEqual([
      '/data/pets/cat/1\n"é".png',
      '/other/2.png',
    ]);
    expect(imagesOf(dataset, 'val')).toEqual([dataset.images[1]]);
  });

  it('has a hash of its contents in their order', () => {
    const [first, second] = dataset.images as [Dataset['images'][0], Dataset['images'][0]];
    expect(contentHash([first, second])).toBe(contentHash([{ ...first, path: 'moved' }, second]));
    expect(contentHash([first, second])).not.toBe(contentHash([second, first]));
  });
});

import { mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { contentHash, datasetSummary, imagesOf, locate } from '../../../src-main/data/dataset.ts';
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

async function listOf(name: string): Promise<string> {
  const [list, ...others] = (await readdir(workspace.dataset(name))).filter((file) => file.startsWith('images'));
  expect(others).toEqual([]);
  return join(workspace.dataset(name), list!);
}

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

  it('are replaced in one step: what is written before it counts for nothing', async () => {
    const replaced = { ...dataset, name: 'replaced' };
    await saveDataset(workspace, replaced);
    const folder = workspace.dataset('replaced');
    const oldRecord = await readFile(join(folder, 'dataset.json'));
    const oldList = await listOf('replaced');
    const oldLines = await readFile(oldList);
    const newer = { ...replaced, images: dataset.images.slice(0, 1) };
    await saveDataset(workspace, newer);
    expect(await loadDataset(workspace, 'replaced')).toEqual(newer);
    expect(await listOf('replaced')).not.toBe(oldList);
    // As a crash between the two files would have left it.
    await writeFile(oldList, oldLines);
    await writeFile(join(folder, 'dataset.json'), oldRecord);
    expect(await loadDataset(workspace, 'replaced')).toEqual(replaced);
    await saveDataset(workspace, replaced);
    expect(await listOf('replaced')).toBe(oldList);
    await removeDataset(workspace, 'replaced');
  });

  it('are the old or the new to those who read while they are replaced', async () => {
    const versions = [1, 2].map((count): Dataset => ({
      ...dataset,
      name: 'busy',
      images: dataset.images.slice(0, count),
    }));
    await saveDataset(workspace, versions[0]!);
    for (let round = 1; round <= 3; round++) {
      const saved = new AbortController();
      const saving = saveDataset(workspace, versions[round % 2]!).finally(() => saved.abort());
      const read = () => loadDataset(workspace, 'busy').then(({ images }) => images.length, String);
      const reads: Promise<number | string>[] = [];
      while (!saved.signal.aborted) {
        for (let more = 0; more < 10; more++) reads.push(read());
        await new Promise(setImmediate);
      }
      await saving;
      for (const found of new Set(await Promise.all(reads))) expect([1, 2]).toContain(found);
    }
    await removeDataset(workspace, 'busy');
  });

  it('that were cut short say so, and do not hide the others', async () => {
    await saveDataset(workspace, { ...dataset, name: 'cut' });
    const path = await listOf('cut');
    await writeFile(path, (await readFile(path, 'utf8')).slice(0, -20));
    await expect(loadDataset(workspace, 'cut')).rejects.toThrow(
      /images-\w+\.jsonl" is damaged: remove the dataset "cut"/,
    );
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
    expect(dataset.images.map((image) => locate(dataset, image).path)).toEqual([
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

/** Datasets whose images are copied into the workspace. */
import { existsSync } from 'node:fs';
import { copyFile, mkdir, mkdtemp, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { locate, type Dataset } from '../../src-main/data/dataset.ts';
import { loadDataset, removeDataset } from '../../src-main/data/dataset-store.ts';
import type { Decoder } from '../../src-main/data/decode/decoder.ts';
import { startDecoder } from '../../src-main/data/decode/start-decoder.ts';
import { importDataset, type ImportSettings } from '../../src-main/data/import.ts';
import { addDataset, resolveDataset } from '../../src-main/studio/datasets/datasets.ts';
import { Workspace } from '../../src-main/workspace/workspace.ts';
import { idxOf } from '../unit/data/idx.ts';
import { filesBelow } from './accidents/scene.ts';
import { paint } from './paint.ts';

let base: string;
let workspace: Workspace;
let decoder: Decoder;
beforeAll(async () => {
  base = await mkdtemp(join(tmpdir(), 'copies-'));
  workspace = await Workspace.open(join(base, 'workspace'));
  decoder = await startDecoder({ concurrency: 2 });
});
afterAll(async () => {
  await decoder.close();
  await rm(base, { recursive: true });
});

/** Two classes of three, and one file that is no image. */
async function paintPets(name: string): Promise<string> {
  const root = join(base, name);
  for (let index = 0; index < 6; index++)
    await paint(join(root, index < 3 ? 'cat' : 'dog/old', `${index}.png`), 20 * index);
  await writeFile(join(root, 'dog', 'torn.jpg'), 'no picture');
  return root;
}

const take = (path: string, settings: ImportSettings = {}) => importDataset(workspace, path, settings, { decoder });

/** Each image with the hash of what lies where the dataset says; it has to be what was imported. */
async function expectReadable(dataset: Dataset): Promise<void> {
  for (const image of dataset.images) expect(await decoder.check(locate(dataset, image))).toBe(image.sha256);
}

/** Files of all datasets but the journals of imports that may go on. */
async function keptFiles(): Promise<string[]> {
  return (await filesBelow(workspace.datasets)).filter((file) => !file.endsWith('.checked.jsonl'));
}

async function inodesOf(dataset: Dataset): Promise<Map<string, number>> {
  const pairs = dataset.images.map(async ({ path }) => [path, (await stat(join(dataset.source, path))).ino] as const);
  return new Map(await Promise.all(pairs));
}

describe('a copied dataset', () => {
  it('holds the images and nothing else, byte for byte with their times, and needs the originals no more', async () => {
    const root = await paintPets('pets');
    const referred = await take(root, { name: 'referred' });
    const copied = await take(root, { name: 'copied', copy: true });
    expect(dirname(copied.source)).toBe(join(workspace.dataset('copied'), 'files'));
    expect(copied.copyOf).toBe(root);
    expect(copied.images.map(({ sha256, split, label, path }) => ({ sha256, split, label, path }))).toEqual(
      referred.images.map(({ sha256, split, label, path }) => ({ sha256, split, label, path })),
    );
    expect(copied.problems).toEqual(referred.problems);
    expect(await filesBelow(copied.source)).toEqual(referred.images.map(({ path }) => path).sort());
    for (const { path } of referred.images) {
      expect(await readFile(join(copied.source, path))).toEqual(await readFile(join(root, path)));
      const [{ mtimeMs: there }, { mtimeMs: here }] = [
        await stat(join(root, path)),
        await stat(join(copied.source, path)),
      ];
      expect(Math.abs(there - here)).toBeLessThan(0.01);
    }
    await rm(root, { recursive: true });
    expect(await loadDataset(workspace, 'copied')).toEqual(copied);
    expect(await resolveDataset(workspace, 'copied')).toEqual(copied);
    await expectReadable(copied);
  });

  it('moves with its workspace', async () => {
    const root = await paintPets('moving');
    const here = await Workspace.open(join(base, 'before'));
    await importDataset(here, root, { copy: true }, { decoder });
    await rm(root, { recursive: true });
    await rename(here.root, join(base, 'after'));
    await expectReadable(await loadDataset(await Workspace.open(join(base, 'after')), 'moving'));
  });

  it('stays as it is when its source comes again unchanged, and follows what changed there', async () => {
    const root = await paintPets('again');
    const first = await take(root, { copy: true });
    const inodes = await inodesOf(first);
    expect(await take(root)).toEqual(first);
    expect(await inodesOf(first)).toEqual(inodes);

    await paint(join(root, 'cat', '0.png'), 99);
    await paint(join(root, 'cat', 'new.png'), 200);
    await rm(join(root, 'dog/old', '4.png'));
    const second = await take(root);
    expect(second.images.map(({ path }) => path)).toEqual([
      'cat/0.png',
      'cat/1.png',
      'cat/2.png',
      'cat/new.png',
      'dog/old/3.png',
      'dog/old/5.png',
    ]);
    await expectReadable(second);
    const now = await inodesOf(second);
    expect(now.get('cat/1.png')).toBe(inodes.get('cat/1.png'));
    expect(now.get('cat/0.png')).not.toBe(inodes.get('cat/0.png'));
    expect(existsSync(first.source)).toBe(false);
  });

  it('is made whole again where a copy was lost or harmed', async () => {
    const root = await paintPets('harmed');
    const first = await take(root, { copy: true });
    await rm(join(first.source, 'cat', '1.png'));
    await writeFile(join(first.source, 'cat', '2.png'), 'scratched');
    const second = await take(root);
    await expectReadable(second);
    expect(await filesBelow(join(workspace.dataset('harmed'), 'files'))).toHaveLength(6);
  });

  it('comes of one by reference, under the same name', async () => {
    const root = await paintPets('late');
    await take(root);
    const copied = await take(root, { copy: true });
    expect(copied).toMatchObject({ name: 'late', copyOf: root });
    await expectReadable(copied);
  });

  it('takes in what a list names elsewhere, and each file once', async () => {
    const root = join(base, 'listed');
    const other = await paintPets('elsewhere');
    await paint(join(root, 'in', 'a.png'), 1);
    await paint(join(root, 'in', 'b.png'), 2);
    const rows = ['in/a.png,x', './in/../in/a.png,x', 'in/b.png,y', `${other}/cat/0.png,x`, '../elsewhere/cat/1.png,y'];
    await writeFile(join(root, 'labels.csv'), ['path,label', ...rows, ''].join('\n'));
    const copied = await take(root, { copy: true });
    expect(copied.images).toHaveLength(5);
    expect(await filesBelow(copied.source)).toEqual([
      'in/a.png',
      'in/b.png',
      ...['0', '1'].map((name) => expect.stringMatching(`^outside/[0-9a-f]{16}/${name}.png$`) as string),
    ]);
    expect(await take(root)).toEqual(copied);
    await rm(root, { recursive: true });
    await rm(other, { recursive: true });
    await expectReadable(copied);
  });

  it('keeps packed images packed', async () => {
    const root = join(base, 'digits');
    await mkdir(root);
    await writeFile(
      join(root, 'train-images-idx3-ubyte'),
      idxOf(
        [6, 2, 2],
        Uint8Array.from({ length: 24 }, (_, index) => 10 * index),
      ),
    );
    await writeFile(join(root, 'train-labels-idx1-ubyte'), idxOf([6], Uint8Array.of(0, 1, 0, 1, 0, 1)));
    const copied = await take(root, { copy: true });
    expect(await filesBelow(copied.source)).toEqual(['train-images-idx3-ubyte']);
    await rm(root, { recursive: true });
    expect(copied.images).toHaveLength(6);
    await expectReadable(copied);
  });

  it('goes with its entry, and leaves the originals', async () => {
    const root = await paintPets('going');
    await take(root, { copy: true });
    await removeDataset(workspace, 'going');
    expect(existsSync(workspace.dataset('going'))).toBe(false);
    expect(await filesBelow(root)).toHaveLength(7);
  });
});

describe('a copy that training asks for by the path of its originals', () => {
  it('stays whole when originals have gone', async () => {
    const root = await paintPets('gone');
    const copied = await take(root, { copy: true });
    await rm(join(root, 'cat'), { recursive: true });
    const resolved = await resolveDataset(workspace, root);
    expect(resolved.images).toEqual(copied.images);
    await expectReadable(resolved);
    await rm(root, { recursive: true });
    expect((await resolveDataset(workspace, root)).images).toEqual(copied.images);
  });

  it('gives way to a dataset by reference of the same folder', async () => {
    const root = await paintPets('twice');
    await take(root, { name: 'a-copy', copy: true });
    await take(root, { name: 'twice' });
    expect((await resolveDataset(workspace, root)).name).toBe('twice');
  });

  it('that is called as the folder is left as it is, whatever else was made of that', async () => {
    const root = await paintPets('named');
    const copied = await take(root, { name: 'named', copy: true });
    await take(root, { name: 'other' });
    await rm(join(root, 'cat', '0.png'));
    const resolved = await resolveDataset(workspace, root);
    expect(resolved.name).toBe('named');
    expect(resolved.images).toEqual(copied.images);
    expect((await loadDataset(workspace, 'named')).images).toEqual(copied.images);
  });
});

describe('a copy that comes to nothing', () => {
  it('leaves nothing when it is stopped', async () => {
    const root = await paintPets('stopped');
    const stop = new AbortController();
    const before = await keptFiles();
    const onProgress = ({ task, done }: { task: string; done: number }) => {
      if (task === 'copy images' && done === 2) stop.abort(new Error('enough'));
    };
    const stopped = importDataset(workspace, root, { copy: true }, { decoder, signal: stop.signal, onProgress });
    await expect(stopped).rejects.toThrow('enough');
    expect(await keptFiles()).toEqual(before);
  });

  it('names an original that changes under it', async () => {
    const root = await paintPets('restless');
    const before = await keptFiles();
    const path = join(root, 'cat', '0.png');
    let changed: Promise<void> | undefined;
    const onProgress = ({ task, done }: { task: string; done: number }) => {
      if (task === 'check images' && done === 7) changed = utimes(path, 1000, 1000);
    };
    const copying = importDataset(workspace, root, { copy: true }, { decoder, onProgress });
    await expect(copying).rejects.toMatchObject({
      code: 'image-changed',
      message: `"${path}" was changed while it was being copied: add the dataset again.`,
    });
    await changed;
    expect(await keptFiles()).toEqual(before);
  });

  it('is swept by the next dataset that is added, whatever its name', async () => {
    const left = join(workspace.dataset('left'), 'files', '0123456789abcdef');
    await mkdir(left, { recursive: true });
    await copyFile(join(await paintPets('more'), 'cat', '0.png'), join(left, '0.png'));
    const half = join(workspace.datasets, '.half.99999999.00000000.tmp');
    await mkdir(half);
    await addDataset(workspace, { path: join(base, 'more') });
    expect(existsSync(workspace.dataset('left'))).toBe(false);
    expect(existsSync(half)).toBe(false);
  });
});

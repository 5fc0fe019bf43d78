import { cp, mkdir, mkdtemp, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { Progress } from '../../src-main/base/progress.ts';
import { datasetSummary, imagesOf, locate } from '../../src-main/data/dataset.ts';
import { loadDataset } from '../../src-main/data/dataset-store.ts';
import type { Decoder } from '../../src-main/data/decode/decoder.ts';
import { startDecoder } from '../../src-main/data/decode/start-decoder.ts';
import { importDataset } from '../../src-main/data/import.ts';
import { writeOrientationSet } from '../../src-main/data/sample/orientation.ts';
import { Workspace } from '../../src-main/workspace/workspace.ts';
import { paint } from './paint.ts';

const shared = process.env.SIDETUNE_SHARED ?? join(import.meta.dirname, '../../../shared');
let base: string;
let workspace: Workspace;
let decoder: Decoder;

beforeAll(async () => {
  base = await mkdtemp(join(tmpdir(), 'import-'));
  workspace = await Workspace.open(join(base, 'workspace'));
  decoder = await startDecoder({ concurrency: 2 });
});
afterAll(async () => {
  await decoder.close();
  await rm(base, { recursive: true });
});

async function paintClasses(root: string, counts: Record<string, number>): Promise<void> {
  let colour = 0;
  for (const [name, count] of Object.entries(counts))
    for (let index = 0; index < count; index++) await paint(join(root, name, `${index}.png`), colour++);
}

describe('importDataset', () => {
  it('takes class folders, deals 80/20 and keeps the files as they are', async () => {
    const root = join(base, 'pets');
    await paintClasses(root, { cat: 10, dog: 20 });
    const before = await stat(join(root, 'cat', '0.png'));
    const progress: Progress[] = [];
    const dataset = await importDataset(
      workspace,
      root,
      {},
      { decoder, onProgress: (report) => progress.push(report) },
    );
    expect(datasetSummary(dataset)).toEqual({
      name: 'pets',
      classes: ['cat', 'dog'],
      splits: { train: 24, val: 6 },
      problems: [],
    });
    expect(imagesOf(dataset, 'val').filter(({ label }) => label === 0)).toHaveLength(2);
    expect(progress.at(-1)).toEqual({ task: 'check images', done: 30, total: 30, unit: 'images' });
    expect(await loadDataset(workspace, 'pets')).toEqual(dataset);
    expect((await stat(join(root, 'cat', '0.png'))).mtimeMs).toBe(before.mtimeMs);
  });

  it('that was stopped goes on with the images that it had not checked', async () => {
    const root = join(base, 'long');
    await paintClasses(root, { a: 20, b: 20 });
    const check = vi.spyOn(decoder, 'check');
    const stop = new AbortController();
    const onProgress = ({ done }: Progress) => {
      if (done === 10) stop.abort(new Error('enough'));
    };
    const stopped = importDataset(workspace, root, {}, { decoder, signal: stop.signal, onProgress });
    await expect(stopped).rejects.toThrow('enough');
    const first = check.mock.calls.length;
    expect(first).toBeGreaterThanOrEqual(10);
    expect(first).toBeLessThan(40);
    // One that changes in between is not believed.
    await utimes(join(root, 'a', '0.png'), 1000, 1000);
    const dataset = await importDataset(workspace, root, {}, { decoder });
    expect(check.mock.calls.length - first).toBe(40 - first + 1);
    check.mockRestore();
    expect(existsSync(join(workspace.datasets, '.long.checked.jsonl'))).toBe(false);
    for (const image of dataset.images) expect(await decoder.check(locate(dataset, image))).toBe(image.sha256);
  });

  it('keeps the entry of a folder that comes again, and reads what changed', async () => {
    const root = join(base, 'again');
    await paintClasses(root, { a: 5, b: 5 });
    const first = await importDataset(workspace, root, { name: 'mine' }, { decoder });
    const entry = join(workspace.dataset('mine'), 'dataset.json');
    const written = (await stat(entry)).mtimeMs;
    expect(await importDataset(workspace, join(root, '..', 'again'), {}, { decoder })).toEqual(first);
    expect((await stat(entry)).mtimeMs).toBe(written);

    await paint(join(root, 'a', '0.png'), 99);
    await utimes(join(root, 'a', '0.png'), 1000, 1000);
    const second = await importDataset(workspace, root, {}, { decoder });
    expect(second.name).toBe('mine');
    expect(second.images[0]?.sha256).not.toBe(first.images[0]?.sha256);
    expect(second.images.slice(1).map(({ sha256 }) => sha256)).toEqual(
      first.images.slice(1).map(({ sha256 }) => sha256),
    );
  });

  it('refuses a name that another folder has', async () => {
    const root = join(base, 'other', 'pets');
    await paintClasses(root, { a: 2 });
    await expect(importDataset(workspace, root, {}, { decoder })).rejects.toMatchObject({ code: 'name-taken' });
    await expect(importDataset(workspace, root, { name: '../x' }, { decoder })).rejects.toMatchObject({
      code: 'bad-name',
    });
  });

  it('lists bad images and leaves them out', async () => {
    const root = join(base, 'bad');
    await paintClasses(root, { a: 5, b: 1 });
    await writeFile(join(root, 'a', 'empty.jpg'), '');
    await writeFile(join(root, 'a', 'text.png'), 'no picture');
    const dataset = await importDataset(workspace, root, {}, { decoder });
    expect(dataset.images).toHaveLength(6);
    expect(dataset.problems.map(({ kind }) => kind).sort()).toEqual(['bad-image', 'bad-image', 'single-image']);
    for (const name of ['empty.jpg', 'text.png'])
      expect(dataset.problems.find(({ path }) => path.endsWith(name))?.message).toContain(join(root, 'a', name));
  });

  it('refuses to lose a class to bad images', async () => {
    const root = join(base, 'lost');
    await paintClasses(root, { a: 3 });
    await mkdir(join(root, 'b'));
    await writeFile(join(root, 'b', '1.png'), 'no picture');
    await expect(importDataset(workspace, root, {}, { decoder })).rejects.toThrow(
      /the only image of the class "b" cannot be read/,
    );
    expect(existsSync(workspace.dataset('lost'))).toBe(false);
  });

  it('reports pictures that are in two splits', async () => {
    const root = join(base, 'leaky');
    await paintClasses(root, { 'train/a': 3, 'val/a': 0, 'test/a': 0 });
    for (const split of ['val', 'test']) await mkdir(join(root, split, 'a'), { recursive: true });
    await cp(join(root, 'train/a/1.png'), join(root, 'val/a/copy.png'));
    await paint(join(root, 'test/a/own.png'), 77);
    const { problems } = await importDataset(workspace, root, {}, { decoder });
    expect(problems.map(({ kind }) => kind)).toEqual(['leak']);
    expect(problems[0]?.message).toContain(join(root, 'train/a/1.png'));
  });

  it('takes lists, and leaves out files that they name and that do not exist', async () => {
    const root = join(base, 'listed');
    await paintClasses(root, { images: 6 });
    await writeFile(join(root, 'train800.txt'), 'images/0.png 0\nimages/1.png 1\nimages/none at all.png 1\n');
    await writeFile(join(root, 'val200.txt'), 'images/2.png 0\nimages/3.png 1\n');
    await writeFile(join(root, 'test.txt'), 'images/4.png 0\nimages/5.png 1\n');
    const dataset = await importDataset(workspace, root, {}, { decoder });
    expect(dataset.format).toBe('lists');
    expect(datasetSummary(dataset).splits).toEqual({ train: 2, val: 2, test: 2 });
    expect(dataset.problems.filter(({ kind }) => kind !== 'single-image')).toMatchObject([
      { kind: 'missing-file', path: join(root, 'images/none at all.png') },
    ]);
  });

  it('takes parquet files as they are, and refuses one whose class has no good picture', async () => {
    const fixtures = join(import.meta.dirname, '../unit/data/fixtures/parquet');
    const root = join(base, 'packed');
    await cp(join(fixtures, 'data'), join(root, 'data'), { recursive: true });
    const dataset = await importDataset(workspace, root, {}, { decoder });
    expect(datasetSummary(dataset)).toEqual({
      name: 'packed',
      classes: ['red', 'green', 'blue'],
      splits: { train: 15, val: 3, test: 6 },
      problems: [],
    });
    expect(await loadDataset(workspace, 'packed')).toEqual(dataset);
    const odd = join(base, 'odd.parquet');
    await cp(join(fixtures, 'odd.parquet'), odd);
    await expect(importDataset(workspace, odd, {}, { decoder })).rejects.toThrow(
      /none of the 2 images of the class "green" can be read/,
    );
  });

  it('stops when asked to and leaves nothing behind', async () => {
    const root = join(base, 'stopped');
    await paintClasses(root, { a: 20 });
    const stop = new AbortController();
    const onProgress = ({ done }: Progress) => done === 3 && stop.abort();
    await expect(
      importDataset(workspace, root, {}, { decoder, onProgress, signal: stop.signal }),
    ).rejects.toMatchObject({ name: 'AbortError' });
    expect(existsSync(workspace.dataset('stopped'))).toBe(false);
  });
});

describe('the orientation sample', () => {
  it('is reproducible, even over classes and free of leaks', async () => {
    const [one, two, other] = ['one', 'two', 'three'].map((name) => join(base, 'sample', name)) as [
      string,
      string,
      string,
    ];
    const sizes = { train: 64, val: 32, test: 40, size: 48 };
    await writeOrientationSet(one, { ...sizes, seed: 5 });
    await writeOrientationSet(two, { ...sizes, seed: 5 });
    await writeOrientationSet(other, { ...sizes, seed: 6 });
    for (const file of [
      'train800.txt',
      'val200.txt',
      'train800val200.txt',
      'test.txt',
      'classes.txt',
      'images/train-00000.png',
    ])
      expect(Buffer.compare(await readFile(join(one, file)), await readFile(join(two, file))), file).toBe(0);
    expect(await readFile(join(other, 'train800.txt'), 'utf8')).not.toBe(
      await readFile(join(one, 'train800.txt'), 'utf8'),
    );

    const dataset = await importDataset(workspace, one, { name: 'orientation' }, { decoder });
    expect(datasetSummary(dataset)).toMatchObject({ splits: { train: 64, val: 32, test: 40 }, problems: [] });
    expect(dataset.classes.slice(0, 4)).toEqual(['000', '022', '045', '067']);
    for (let label = 0; label < 16; label++)
      expect(imagesOf(dataset, 'train').filter((image) => image.label === label)).toHaveLength(4);
  });

  it('draws whole hearts', async () => {
    const folder = join(base, 'sample', 'whole');
    await writeOrientationSet(folder, { train: 48, val: 0, test: 0 });
    for (let index = 0; index < 48; index++) {
      const path = join(folder, 'images', `train-${String(index).padStart(5, '0')}.png`);
      const { data, info } = await sharp(path).toColourspace('b-w').raw().toBuffer({ resolveWithObject: true });
      expect([info.width, info.height]).toEqual([64, 64]);
      const lit = [...data].flatMap((level, position) =>
        level > 0 ? [[position % 64, Math.floor(position / 64)] as const] : [],
      );
      for (const [x, y] of lit) expect(Math.min(x, y, 63 - x, 63 - y)).toBeGreaterThan(0);
      const extent = Math.max(...lit.map(([x]) => x)) - Math.min(...lit.map(([x]) => x)) + 1;
      expect(extent).toBeGreaterThan(64 * 0.14);
      expect(extent).toBeLessThan(64 * 0.4);
    }
  });
});

describe.skipIf(!existsSync(join(shared, 'data')))('the shared sets (skipped where SIDETUNE_SHARED has none)', () => {
  it('import without a problem', async () => {
    const dataset = await importDataset(workspace, join(shared, 'data', 'signs10'), {}, { decoder });
    expect(datasetSummary(dataset)).toMatchObject({
      name: 'signs10',
      splits: { train: 800, val: 200, test: 1000 },
      problems: [],
    });
    expect(dataset.classes).toHaveLength(10);
  });
});

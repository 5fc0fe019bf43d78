import { cp, mkdir, mkdtemp, rename, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { writePlainVit } from '../../src-main/backbone/plain-vit.ts';
import type { Progress } from '../../src-main/base/progress.ts';
import { EMBEDDED_BACKBONE, listBackbones, resolveBackbone } from '../../src-main/studio/backbones.ts';
import { addDataset, listDatasets, resolveDataset } from '../../src-main/studio/datasets/datasets.ts';
import { Workspace } from '../../src-main/workspace/workspace.ts';

let base: string;
let workspace: Workspace;

beforeEach(async () => {
  base = await mkdtemp(join(tmpdir(), 'studio names '));
  workspace = await Workspace.open(join(base, 'workspace'));
});
afterEach(() => rm(base, { recursive: true }));

async function paint(path: string, red: number): Promise<void> {
  await sharp({ create: { width: 4, height: 4, channels: 3, background: { r: red, g: 90, b: 9 } } })
    .png()
    .toFile(path);
}

async function paintSet(folder: string): Promise<string> {
  for (const [index, name] of ['a', 'b'].entries()) {
    await mkdir(join(folder, name), { recursive: true });
    for (let image = 0; image < 5; image++) await paint(join(folder, name, `${image}.png`), 100 * index + image);
  }
  return folder;
}

describe('resolveDataset', () => {
  it('takes a path in under its own name, and finds it again by path, by other spelling and by name', async () => {
    const folder = await paintSet(join(base, 'pets'));
    const first = await resolveDataset(workspace, folder);
    expect(first.name).toBe('pets');
    expect(await resolveDataset(workspace, join(folder, 'a', '..'))).toEqual(first);
    expect(await resolveDataset(workspace, 'pets')).toEqual(first);
    expect(await listDatasets(workspace)).toHaveLength(1);
  });

  it('reuses the entry that the folder was added as under another name', async () => {
    const folder = await paintSet(join(base, 'pets'));
    await addDataset(workspace, { path: folder, name: 'mine' });
    expect((await resolveDataset(workspace, folder)).name).toBe('mine');
  });

  it('reads what changed since, by name too, and does without the folder where it is gone', async () => {
    const folder = await paintSet(join(base, 'pets'));
    const first = await resolveDataset(workspace, folder);
    await paint(join(folder, 'a', '0.png'), 200);
    await utimes(join(folder, 'a', '0.png'), 1000, 1000);
    const second = await resolveDataset(workspace, 'pets');
    const hashes = (dataset: typeof first) => dataset.images.map(({ sha256 }) => sha256);
    expect(hashes(second)[0]).not.toBe(hashes(first)[0]);
    expect(hashes(second).slice(1)).toEqual(hashes(first).slice(1));
    await rename(folder, join(base, 'unplugged'));
    expect(await resolveDataset(workspace, 'pets')).toEqual(second);
  });

  it('refuses what is neither, and a name that another folder has', async () => {
    await expect(resolveDataset(workspace, join(base, 'none'))).rejects.toMatchObject({ code: 'no-dataset' });
    await resolveDataset(workspace, await paintSet(join(base, 'pets')));
    const other = resolveDataset(workspace, await paintSet(join(base, 'others', 'pets')));
    await expect(other).rejects.toMatchObject({
      code: 'name-taken',
      message: expect.stringContaining('sidetune datasets add PATH --name NAME') as string,
    });
  });

  it('stops when asked to', async () => {
    const folder = await paintSet(join(base, 'pets'));
    const stop = new AbortController();
    const onProgress = ({ done }: Progress) => done === 2 && stop.abort();
    await expect(resolveDataset(workspace, folder, { signal: stop.signal, onProgress })).rejects.toMatchObject({
      name: 'AbortError',
    });
    expect(await listDatasets(workspace)).toEqual([]);
  });
});

describe('resolveBackbone', () => {
  it('takes a file in under its own name, and finds it again by path and by name', async () => {
    const file = join(base, 'small.onnx');
    await writeFile(file, writePlainVit({ size: 16, patch: 4, width: 12, blocks: 2, heads: 3 }));
    const first = await resolveBackbone(workspace, file);
    expect(first.name).toBe('small');
    expect(await resolveBackbone(workspace, file)).toEqual(first);
    await rm(file);
    expect(await resolveBackbone(workspace, 'small')).toEqual(first);
    const own = (await listBackbones(workspace)).backbones.filter(({ name }) => name !== EMBEDDED_BACKBONE);
    expect(own).toHaveLength(1);
  });

  it('refuses what is neither, and a name that another file has', async () => {
    await expect(resolveBackbone(workspace, join(base, 'none.onnx'))).rejects.toMatchObject({
      code: 'unknown-backbone',
    });
    const file = join(base, 'small.onnx');
    await writeFile(file, writePlainVit({ size: 16, patch: 4, width: 12, blocks: 2, heads: 3 }));
    await resolveBackbone(workspace, file);
    await mkdir(join(base, 'other'));
    await cp(file, join(base, 'other', 'small.onnx'));
    await expect(resolveBackbone(workspace, join(base, 'other', 'small.onnx'))).rejects.toMatchObject({
      code: 'name-taken',
    });
  });
});

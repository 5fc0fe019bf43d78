/** Features of an image are made once, whatever lists it is in, and those of a list that was cut off are gone on with. */
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { addBackbone } from '../../src-main/backbone/add-backbone.ts';
import { type Backbone } from '../../src-main/backbone/catalogue.ts';
import { writePlainVit } from '../../src-main/backbone/plain-vit.ts';
import type { MapRequest } from '../../src-main/backbone/surgery.ts';
import type { DatasetImage } from '../../src-main/data/dataset.ts';
import { hashContent, readContent } from '../../src-main/data/image-content.ts';
import { extractFeatures, missingFeatures, type ExtractionRequest } from '../../src-main/features/extract.ts';
import type { CachedSet } from '../../src-main/features/feature-set.ts';
import { HEADER_RESERVE } from '../../src-main/features/row-file.ts';
import { Workspace } from '../../src-main/workspace/workspace.ts';

const SIZE = 16;
const IMAGES = 20;
const maps: MapRequest[] = [1, 2].map((index) => ({ kind: 'P', group: 1, index }));

let folder: string;
let source: string;
let images: DatasetImage[];
let workspace: Workspace;
let backbone: Backbone;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kept-rows-'));
  source = join(folder, 'pictures');
  await mkdir(source);
  images = await Promise.all(Array.from({ length: IMAGES }, (_, index) => draw(index)));
});
afterAll(() => rm(folder, { recursive: true }));

beforeEach(async () => {
  workspace = await freshWorkspace();
  backbone = await add(workspace);
});

async function draw(index: number): Promise<DatasetImage> {
  const name = `${index}.png`;
  const path = join(source, name);
  const raw = Uint8Array.from({ length: 3 * SIZE * SIZE }, (_, i) => 128 + 100 * Math.sin(i * (index + 1)));
  await sharp(raw, { raw: { width: SIZE, height: SIZE, channels: 3 } })
    .png()
    .toFile(path);
  const { size: bytes, mtimeMs } = await stat(path);
  return { path: name, label: 0, split: 'train', bytes, mtimeMs, sha256: hashContent(await readContent({ path })) };
}

const freshWorkspace = async () => Workspace.open(await mkdtemp(join(folder, 'workspace-')));

async function add(into: Workspace, seed = 1): Promise<Backbone> {
  const file = join(into.root, `small-${seed}.onnx`);
  await writeFile(file, writePlainVit({ size: SIZE, patch: 4, width: 12, blocks: 2, heads: 3, seed }));
  return addBackbone(into, file);
}

const request = (list: readonly DatasetImage[], more: Partial<ExtractionRequest> = {}): ExtractionRequest => ({
  ...{ backbone, source, lists: [list], maps, threads: 1, ...more },
});

/** @returns where the features are, and how many images were done by the time that the ViT had its first batch done */
async function extract(list: readonly DatasetImage[], more: Partial<ExtractionRequest> = {}) {
  const reports: number[] = [];
  const { sets } = await extractFeatures(workspace, request(list, more), {
    onProgress: ({ done }) => reports.push(done),
  });
  return { set: sets[0]!, reports };
}

/** Hashes of the files with values. */
async function contentOf(set: CachedSet): Promise<Record<string, string>> {
  const names = (await readdir(dirname(set.base))).filter((name) => name.endsWith('.safetensors'));
  const files = await Promise.all(names.map((name) => readFile(join(dirname(set.base), name))));
  const hash = (file: Buffer) => createHash('sha256').update(file).digest('hex');
  return Object.fromEntries(names.map((name, index) => [name, hash(files[index]!)]));
}

/** As they are in a workspace that has nothing yet. */
async function contentAnew(list: readonly DatasetImage[], more: Partial<ExtractionRequest> = {}) {
  const elsewhere = await freshWorkspace();
  const { sets } = await extractFeatures(elsewhere, { ...request(list, more), backbone: await add(elsewhere) });
  return contentOf(sets[0]!);
}

it.each(['fp16', 'int8'] as const)(
  'a list of images that are all in others is copied: no ViT (%s)',
  async (storage) => {
    await extract(images.slice(0, 12), { storage });
    await extract(images.slice(12), { storage });
    // Dealt anew: other numbers, other order, one left out.
    const dealt = [...images.slice(5), ...images.slice(0, 4).toReversed()];
    const missing = await missingFeatures(workspace, request(dealt, { storage }));
    expect(missing).toMatchObject({ lists: [dealt], images: 0 });
    // All but the files' headers.
    expect(missing.copied).toBe(missing.bytes - 3 * HEADER_RESERVE);
    // The pictures are not looked at: they could be gone.
    const { set, reports } = await extract(
      dealt.map((image) => ({ ...image, path: `gone-${image.path}` })),
      { storage },
    );
    expect(reports).toEqual([]);
    expect(await contentOf(set)).toEqual(await contentAnew(dealt, { storage }));
  },
);

it('an image that is new goes through the ViT, alone', async () => {
  await extract(images.slice(0, 18));
  const list = [images[19]!, ...images.slice(2, 17), images[18]!];
  expect((await missingFeatures(workspace, request(list))).images).toBe(2);
  const { set, reports } = await extract(list);
  expect(reports).toEqual([17]);
  expect(await contentOf(set)).toEqual(await contentAnew(list));
});

it('nothing is copied from another ViT, another rounding, or a folder that lacks a map', async () => {
  await extract(images, { storage: 'int8' });
  await extract(images.slice(1), { maps: maps.slice(1) });
  await extractFeatures(workspace, { ...request(images.slice(2)), backbone: await add(workspace, 2) });
  const list = images.slice(3);
  expect(await missingFeatures(workspace, request(list))).toMatchObject({ images: list.length, copied: 0 });
  const { set, reports } = await extract(list);
  expect(reports).toEqual([8, 16, 17]);
  expect(await contentOf(set)).toEqual(await contentAnew(list));
});

it('a row that was damaged is made anew', async () => {
  const { set } = await extract(images);
  const { path } = set.maps.P1_2!;
  const bytes = await readFile(path);
  bytes[bytes.length - 1]! ^= 1;
  await writeFile(path, bytes);
  const list = images.slice(1);
  expect(await contentOf((await extract(list)).set)).toEqual(await contentAnew(list));
});

it('a list that was cut off is gone on with', async () => {
  const stop = new AbortController();
  const begun = extractFeatures(workspace, request(images), {
    signal: stop.signal,
    onProgress: () => stop.abort(new Error('stopped')),
  });
  await expect(begun).rejects.toThrow('stopped');
  const { set, reports } = await extract(images);
  expect(reports).toEqual([16, 20]);
  expect(await contentOf(set)).toEqual(await contentAnew(images));
  expect((await readdir(dirname(set.base))).filter((name) => name.endsWith('.part'))).toEqual([]);
});

import { fork } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { addBackbone } from '../../src-main/backbone/add-backbone.ts';
import { type Backbone } from '../../src-main/backbone/catalogue.ts';
import { writePlainVit } from '../../src-main/backbone/plain-vit.ts';
import { exposeValues, mapName, type MapRequest } from '../../src-main/backbone/surgery.ts';
import { tensorValues } from '../../src-main/backbone/tensors.ts';
import { forkEntry } from '../../src-main/base/fork-entry.ts';
import type { DatasetImage } from '../../src-main/data/dataset.ts';
import { hashContent, readContent } from '../../src-main/data/image-content.ts';
import { startDecoder } from '../../src-main/data/decode/start-decoder.ts';
import { halvesToFloats } from '../../src-main/engine/half.ts';
import { DataType, decodeModel, encodeModel, floatTensor, node, valueInfo } from '../../src-main/engine/onnx/model.ts';
import type { ModelProto } from '../../src-main/engine/onnx/onnx_pb.ts';
import { createSession, toOrt } from '../../src-main/engine/session.ts';
import { extractFeatures, type ExtractionRequest } from '../../src-main/features/extract.ts';
import { featureBytesPerImage, type CachedSet } from '../../src-main/features/feature-set.ts';
import { FrozenVit } from '../../src-main/features/frozen-vit.ts';
import { imageBatches } from '../../src-main/features/image-batches.ts';
import { FeatureReader } from '../../src-main/features/read-features.ts';
import { HEADER_RESERVE } from '../../src-main/features/row-file.ts';
import { Workspace } from '../../src-main/workspace/workspace.ts';

const BLOCKS = 2;
const SIZE = 16;
const plain = writePlainVit({ size: SIZE, patch: 4, width: 12, blocks: BLOCKS, heads: 3 });
const last: MapRequest[] = [1, 2].map((index) => ({ kind: 'P', group: 1, index }));
const miet: MapRequest = { kind: 'S', index: 2 };

let folder: string;
let source: string;
let workspace: Workspace;
/** Ten grey pictures, which a ViT's first batch of eight does not hold, then two of full contrast. */
let images: DatasetImage[];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'extraction '));
  source = join(folder, 'pictures');
  await mkdir(source);
  images = [];
  for (let index = 0; index < 12; index++) images.push(await draw(`${index}.png`, index < 10 ? 2 + index : 255));
});
afterAll(() => rm(folder, { recursive: true }));

beforeEach(async () => {
  workspace = await Workspace.open(await mkdtemp(join(folder, 'workspace-')));
});

/** A picture around grey, with values up to `contrast` apart. */
async function draw(name: string, contrast: number): Promise<DatasetImage> {
  const pixels = Uint8Array.from({ length: 3 * SIZE * SIZE }, (_, i) => 127.5 + (contrast / 2) * Math.sin(i * i));
  const path = join(source, name);
  await sharp(pixels, { raw: { width: SIZE, height: SIZE, channels: 3 } })
    .png()
    .toFile(path);
  const { size: bytes, mtimeMs } = await stat(path);
  return { path: name, label: 0, split: 'train', bytes, mtimeMs, sha256: hashContent(await readContent({ path })) };
}

/** The plain ViT with one of its weights changed. */
function changed(weight: string, change: (value: number, index: number) => number): ModelProto {
  const model = decodeModel(plain);
  const { initializer } = model.graph!;
  const place = initializer.findIndex(({ name }) => name === weight);
  const tensor = initializer[place]!;
  const values = Float32Array.from(tensorValues(tensor)!, change);
  initializer[place] = floatTensor(weight, tensor.dims.map(Number), values);
  return model;
}

async function add(model: ModelProto | Uint8Array, name = 'small'): Promise<Backbone> {
  const file = join(workspace.root, `${name}.onnx`);
  await writeFile(file, model instanceof Uint8Array ? model : encodeModel(model));
  return addBackbone(workspace, file);
}

const request = (backbone: Backbone, more: Partial<ExtractionRequest> = {}): ExtractionRequest => ({
  ...{ backbone, source, lists: [images], maps: last, threads: 1, ...more },
});

async function filesOf(set: CachedSet): Promise<string[]> {
  return (await readdir(join(set.base, '..'))).sort();
}

/** Map and row sums of one image, at the size they stand for. */
async function readRow(set: CachedSet, map: MapRequest, row: number) {
  const reader = await FeatureReader.open(set, { maps: [map], rowSums: true, base: 'mean' });
  try {
    const buffers = reader.allocate(1);
    await reader.read([row], buffers);
    const scale = reader.scales[0]!;
    const values = halvesToFloats(buffers.map_0 as Uint16Array).map((value) => value * scale);
    return { values, sums: buffers.row_sums_0!, squares: buffers.row_square_sums_0!, base: buffers.base! };
  } finally {
    await reader.close();
  }
}

/** The states z_0 .. z_L [tokens * width] of each image, by the untouched model on pixels decoded here. */
async function statesOutside(model: ModelProto, backbone: Backbone): Promise<Float32Array[][]> {
  const { structure, preprocessing } = backbone;
  const decoder = await startDecoder();
  const session = await createSession(encodeModel(exposeValues(model, structure.states)), { threads: 1 });
  try {
    const states: Float32Array[][] = [];
    const files = images.map(({ path }) => ({ path: join(source, path) }));
    for await (const { pixels } of imageBatches(files, { decoder, preprocessing, batch: 1 })) {
      const feed = toOrt({ storage: 'float32', shape: [1, 3, SIZE, SIZE] }, pixels);
      const outputs = await session.run({ [structure.input.name]: feed });
      states.push(structure.states.map((name) => outputs[name]!.data as Float32Array));
    }
    return states;
  } finally {
    await session.release();
    await decoder.close();
  }
}

function expectClose(found: ArrayLike<number>, wanted: ArrayLike<number>, share: number): void {
  expect(found.length).toBe(wanted.length);
  const largest = Array.from(wanted).reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  for (let i = 0; i < wanted.length; i++)
    expect(Math.abs(found[i]! - wanted[i]!), String(i)).toBeLessThan(share * largest);
}

describe('a map that outgrows half precision after the first batch', () => {
  it('starts its list again with a larger scale, the others keeping theirs, and is right', async () => {
    // With this gain two states of a picture of full contrast fit half precision, and three do not.
    const grown = changed('patch.weight', (value) => value * 6e3);
    const backbone = await add(grown);
    const done: number[] = [];
    const { sets } = await extractFeatures(workspace, request(backbone), {
      onProgress: (progress) => done.push(progress.done),
    });
    expect(done).toEqual([8, 8, 12]);
    const outside = await statesOutside(grown, backbone);
    for (const [index, map] of last.entries()) {
      expect(sets[0]!.maps[mapName(map)]!.scale).toBe([1, 16][index]);
      for (const image of [0, 9, 11]) {
        const states = outside[image]!.slice(0, index + 2);
        const wanted = states[0]!.map((_, i) => states.reduce((sum, state) => sum + state[i]!, 0));
        const { values, sums, squares } = await readRow(sets[0]!, map, image);
        expectClose(values, wanted, 2 ** -10);
        const rows = Array.from({ length: 17 }, (_, token) => values.subarray(12 * token, 12 * token + 12));
        expectClose(
          sums,
          rows.map((row) => row.reduce((sum, value) => sum + value, 0)),
          1e-5,
        );
        expectClose(
          squares,
          rows.map((row) => row.reduce((sum, value) => sum + value * value, 0)),
          1e-5,
        );
      }
    }
  });
});

describe('a backbone that is not finite', () => {
  const refusal = (what: string) => ({
    code: 'non-finite',
    message: `The backbone's ${what} is not finite: the model is damaged or not made for this preprocessing.`,
  });

  it.each([{ maps: last }, { maps: [] }])('is refused, and nothing of it kept, with maps $maps', async ({ maps }) => {
    const spoilt = changed('block1.mlp.fc2.bias', (value, index) => (index === 0 ? NaN : value));
    // One that is so from the start is refused when it is added: this one was spoilt since.
    const modelPath = join(workspace.root, 'spoilt.onnx');
    await writeFile(modelPath, encodeModel(spoilt));
    const sha256 = createHash('sha256').update(encodeModel(spoilt)).digest('hex');
    const backbone = { ...(await add(plain)), modelPath, sha256 };
    await expect(extractFeatures(workspace, request(backbone, { maps }))).rejects.toMatchObject(refusal('output'));
    const [key] = await readdir(workspace.features);
    expect(await readdir(join(workspace.features, key!))).toEqual([]);
  });

  it('is refused where a late picture has a map that no scale holds', async () => {
    const backbone = await add(changed('patch.weight', (value) => value * 1e16));
    const done: number[] = [];
    const extracting = extractFeatures(workspace, request(backbone), { onProgress: (all) => done.push(all.done) });
    await expect(extracting).rejects.toMatchObject(refusal('feature map P1_1'));
    expect(done).toEqual([8]);
  });
});

describe('the cache', () => {
  it('gives MIET what LAST has left, and leaves the files that are there as they are', async () => {
    const backbone = await add(plain);
    const first = await extractFeatures(workspace, request(backbone));
    expect(first.seconds).toBeGreaterThan(0);
    const set = first.sets[0]!;
    expect(await filesOf(set)).toEqual([
      'P1_1.safetensors',
      'P1_2.safetensors',
      'about.json',
      'base.safetensors',
      'rows.json',
    ]);
    const before = await Promise.all(['base', 'P1_2'].map((name) => stat(join(set.base, '..', `${name}.safetensors`))));

    const second = await extractFeatures(workspace, request(backbone, { maps: [miet] }));
    expect(second.seconds).toBe(0);
    expect(second.sets[0]!.maps).toEqual({ S_2: set.maps.P1_2 });

    await rm(set.maps.P1_1!.path);
    expect((await extractFeatures(workspace, request(backbone))).seconds).toBeGreaterThan(0);
    const after = await Promise.all(['base', 'P1_2'].map((name) => stat(join(set.base, '..', `${name}.safetensors`))));
    expect(after.map(({ ino, mtimeMs }) => [ino, mtimeMs])).toEqual(before.map(({ ino, mtimeMs }) => [ino, mtimeMs]));
    const about = JSON.parse(await readFile(join(set.base, '..', 'about.json'), 'utf8')) as unknown;
    expect(about).toMatchObject({ backbone: 'small', backbone_sha256: backbone.sha256, threads: '1', images: 12 });
  });

  it('is filled once when two want it at the same time: the second waits and finds it, or is stopped', async () => {
    const backbone = await add(plain);
    const tasks: string[] = [];
    const stop = new AbortController();
    const [one, two, stopped] = await Promise.allSettled([
      extractFeatures(workspace, request(backbone)),
      extractFeatures(workspace, request(backbone), { onProgress: ({ task }) => tasks.push(task) }),
      extractFeatures(workspace, request(backbone), {
        signal: stop.signal,
        onProgress: () => stop.abort(new Error('enough')),
      }),
    ]);
    if (one.status !== 'fulfilled' || two.status !== 'fulfilled') throw new Error('Extraction failed.');
    expect(stopped).toMatchObject({ status: 'rejected', reason: { message: 'enough' } });
    expect(one.value.seconds).toBeGreaterThan(0);
    expect(two.value).toEqual({ sets: one.value.sets, seconds: 0, vitWaited: 0, vitPeakRssBytes: null });
    expect(new Set(tasks)).toEqual(new Set(['waiting for another process that extracts these features']));
    const [set] = one.value.sets as [CachedSet];
    expect(await filesOf(set)).toEqual([
      'P1_1.safetensors',
      'P1_2.safetensors',
      'about.json',
      'base.safetensors',
      'rows.json',
    ]);
  });

  it('in 8 bits is within half a step of the map, its sums those of what it holds, and apart from that in 16', async () => {
    const backbone = await add(plain);
    const [half] = (await extractFeatures(workspace, request(backbone))).sets as [CachedSet];
    const [eight] = (await extractFeatures(workspace, request(backbone, { storage: 'int8' }))).sets as [CachedSet];
    expect(dirname(eight.base)).not.toBe(dirname(half.base));
    expect(await readFile(eight.base)).toEqual(await readFile(half.base));
    for (const map of last) {
      const found = await readRow(eight, map, 11);
      const wanted = await readRow(half, map, 11);
      let differing = 0;
      for (let token = 0; token < 17; token++) {
        const row = (values: Float32Array) => values.subarray(12 * token, 12 * token + 12);
        const largest = Math.max(...row(wanted.values).map(Math.abs));
        // A step is at most 17 sixteenths, and an eighth on top, of the largest magnitude's 127th.
        const bound = ((17 / 16) * (9 / 8) * largest) / 127 / 2 + largest * 2 ** -11;
        row(found.values).forEach((value, i) => {
          expect(Math.abs(value - row(wanted.values)[i]!)).toBeLessThanOrEqual(bound);
          if (value !== row(wanted.values)[i]) differing++;
        });
        expect(found.sums[token]).toBeCloseTo(
          row(found.values).reduce((sum, value) => sum + value, 0),
          4,
        );
        expect(found.squares[token]).toBeCloseTo(
          row(found.values).reduce((sum, value) => sum + value * value, 0),
          3,
        );
      }
      expect(differing).toBeGreaterThan(100);
    }
  });

  it('in 8 bits holds exactly what the ViT puts out for predictions', async () => {
    const backbone = await add(plain);
    const [eight] = (await extractFeatures(workspace, request(backbone, { storage: 'int8' }))).sets as [CachedSet];
    const decoder = await startDecoder();
    const vit = await FrozenVit.open(backbone, last, { threads: 1, storage: 'int8' });
    try {
      const read = { decoder, preprocessing: backbone.preprocessing, batch: 1 };
      for await (const { first, pixels } of imageBatches([{ path: join(source, '3.png') }], read)) {
        const { maps } = await vit.run(pixels, 1, [1, 1]);
        for (const [index, map] of last.entries()) {
          // Zeros have no sign in the cache.
          const wanted = halvesToFloats(maps[index]!.map).map((value) => value + 0);
          expect((await readRow(eight, map, 3 + first)).values).toEqual(wanted);
        }
      }
    } finally {
      await vit.close();
      await decoder.close();
    }
  });

  it('is not begun where the disk has no room for it', async () => {
    const backbone = await add(plain);
    const { structure } = backbone;
    const wide = { ...backbone, structure: { ...structure, tokens: 1e12 } };
    await expect(extractFeatures(workspace, request(wide))).rejects.toMatchObject({
      code: 'disk-full',
      message: expect.stringMatching(/^The features need [\d,.]+ MB and the disk of/) as string,
    });
    expect(await readdir(workspace.root)).not.toContain('features');
  });

  it.each(['fp16', 'int8'] as const)('takes the bytes an image that the studio says, in %s', async (storage) => {
    const { sets } = await extractFeatures(workspace, request(await add(plain), { storage }));
    const [set] = sets as [CachedSet];
    const paths = [set.base, ...Object.values(set.maps).map(({ path }) => path)];
    const sizes = await Promise.all(paths.map(async (path) => (await stat(path)).size));
    const total = sizes.reduce((sum, size) => sum + size, 0);
    expect(total).toBe(3 * HEADER_RESERVE + images.length * featureBytesPerImage(2, set));
  });

  it('fills several lists in one call, each on its own, and equal ones once', async () => {
    const backbone = await add(plain);
    const lists = [images.slice(0, 9), images.slice(9), [], images.slice(0, 9)];
    const done: [number, number][] = [];
    const { sets } = await extractFeatures(workspace, request(backbone, { lists, maps: [miet] }), {
      onProgress: (progress) => done.push([progress.done, progress.total]),
    });
    expect(done).toEqual([8, 9, 12].map((count) => [count, 12]));
    expect(sets.map((set) => set.images)).toEqual([9, 3, 0, 9]);
    expect(sets[3]).toEqual(sets[0]);
    const whole = (await extractFeatures(workspace, request(backbone, { maps: [miet] }))).sets[0]!;
    for (const [set, row, place] of [
      [sets[0]!, 8, 8],
      [sets[1]!, 0, 9],
      [sets[1]!, 2, 11],
    ] as const) {
      const [apart, together] = [await readRow(set, miet, row), await readRow(whole, miet, place)];
      expectClose(apart.values, together.values, 2 ** -10);
      expectClose(apart.base, together.base, 1e-5);
    }
  });

  it('finds a damaged row when that row is read', async () => {
    const [set] = (await extractFeatures(workspace, request(await add(plain), { maps: [miet] }))).sets as [CachedSet];
    const { path } = set.maps.S_2!;
    const bytes = await readFile(path);
    // The map's rows are the last tensor: the middle of the last image's.
    bytes[bytes.length - 17 * 12]! ^= 0x40;
    await writeFile(path, bytes);
    expect((await extractFeatures(workspace, request(await add(plain), { maps: [miet] }))).seconds).toBe(0);
    await readRow(set, miet, 10);
    await expect(readRow(set, miet, 11)).rejects.toMatchObject({
      code: 'damaged-features',
      message: `The feature file "${path}" is damaged: delete it, and it is extracted anew at the next start.`,
    });
    await rm(path);
    await extractFeatures(workspace, request(await add(plain), { maps: [miet] }));
    await readRow(set, miet, 11);
  });
});

describe('a picture that changed since it was imported', () => {
  it('ends extraction in a sentence, and one that only looks newer does not', async () => {
    const picture = await draw('changing.png', 100);
    const lists = [[...images.slice(0, 2), picture]];
    const backbone = await add(plain);
    await draw('changing.png', 101);
    await expect(extractFeatures(workspace, request(backbone, { lists }))).rejects.toMatchObject({
      code: 'image-changed',
      message: expect.stringContaining(join(source, 'changing.png')) as string,
    });
    await draw('changing.png', 100);
    await utimes(join(source, 'changing.png'), 1, 1);
    expect((await extractFeatures(workspace, request(backbone, { lists }))).sets[0]!.images).toBe(3);
  });
});

describe('extraction that is cut off', () => {
  it('by the signal leaves what it has, under names that nothing reads', async () => {
    const stop = new AbortController();
    const extracting = extractFeatures(workspace, request(await add(plain)), {
      signal: stop.signal,
      onProgress: () => stop.abort(),
    });
    await expect(extracting).rejects.toThrow(/abort/i);
    const [key] = await readdir(workspace.features);
    expect((await readdir(join(workspace.features, key!))).sort()).toEqual([
      'P1_1.safetensors.1.part',
      'P1_2.safetensors.1.part',
      'base.safetensors.1.part',
    ]);
  });

  it('by kill -9 leaves nothing that is believed, and who waited for it does the rest', async () => {
    const backbone = await add(plain);
    const many = Array.from({ length: 100 }, () => images).flat();
    const list = join(workspace.root, 'list.json');
    await writeFile(list, JSON.stringify(many));
    const { entry, execArgv } = forkEntry('./extract-in-child', import.meta.url);
    const child = fork(entry, [workspace.root, backbone.name, list, source], { execArgv });
    await once(child, 'message');
    const stop = new AbortController();
    const waiting = extractFeatures(workspace, request(backbone, { lists: [many], maps: last.slice(0, 1) }), {
      signal: stop.signal,
      onProgress: () => stop.abort(),
    });
    await expect(waiting).rejects.toThrow();
    child.kill('SIGKILL');
    await once(child, 'exit');
    const [key] = await readdir(workspace.features);
    const cache = join(workspace.features, key!);
    const left = await readdir(cache);
    expect(left).toHaveLength(3);
    for (const name of left.filter((each) => each !== 'lock'))
      expect(name).toMatch(/^(P1_1|base)\.safetensors\.1\.part$/);

    const maps = last.slice(0, 1);
    const { sets, seconds } = await extractFeatures(workspace, request(backbone, { lists: [many], maps }));
    expect(seconds).toBeGreaterThan(0);
    expect(await filesOf(sets[0]!)).toEqual(['P1_1.safetensors', 'about.json', 'base.safetensors', 'rows.json']);
    await readRow(sets[0]!, maps[0]!, many.length - 1);
  });
});

describe('pictures whose folder is gone', () => {
  it('are missed as a whole, and a single one by its name', async () => {
    const unplugged = join(folder, 'unplugged');
    await cp(source, unplugged, { recursive: true });
    const backbone = await add(plain);
    const asked = { ...request(backbone, { maps: [] }), source: unplugged };
    await rm(join(unplugged, images[1]!.path));
    await expect(extractFeatures(workspace, asked)).rejects.toMatchObject({
      code: 'image',
      message: expect.stringContaining(images[1]!.path) as string,
    });
    await rm(unplugged, { recursive: true });
    await expect(extractFeatures(workspace, asked)).rejects.toMatchObject({
      code: 'missing-folder',
      message: expect.stringMatching(/^The folder ".*unplugged" with the dataset's pictures is gone/) as string,
    });
  });
});

describe('a backbone that takes half-precision pixels', () => {
  it('is fed from the same float pixels', async () => {
    const model = decodeModel(plain);
    const graph = model.graph!;
    graph.node.forEach((each) => (each.input = each.input.map((name) => (name === 'pixel_values' ? 'floats' : name))));
    graph.node.unshift(node('Cast', ['pixel_values'], ['floats'], { to: DataType.FLOAT }));
    graph.input = [valueInfo('pixel_values', DataType.FLOAT16, ['batch', 3, SIZE, SIZE])];
    const half = await extractFeatures(workspace, request(await add(model, 'half'), { maps: [miet] }));
    const full = await extractFeatures(workspace, request(await add(plain, 'full'), { maps: [miet] }));
    const [found, wanted] = [await readRow(half.sets[0]!, miet, 11), await readRow(full.sets[0]!, miet, 11)];
    expectClose(found.values, wanted.values, 2e-3);
    expect(found.base).not.toEqual(wanted.base);
  });
});

describe('a backbone that onnxruntime refuses', () => {
  it('is one line with what to do', async () => {
    const backbone = await add(plain);
    const { structure } = backbone;
    const broken = { ...backbone, structure: { ...structure, imageHeight: 12 } };
    const vit = await FrozenVit.open(broken, [], { threads: 1 });
    const failing = vit.run(new Float32Array(3 * 12 * SIZE), 1, []);
    await expect(failing).rejects.toMatchObject({
      code: 'backbone',
      message: expect.stringMatching(/^onnxruntime cannot run backbone small \([^\n]+\): export it again/) as string,
    });
    await vit.close();
  });
});

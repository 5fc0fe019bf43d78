import { existsSync } from 'node:fs';
import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { addBackbone } from '../../src-main/backbone/add-backbone.ts';
import { type Backbone } from '../../src-main/backbone/catalogue.ts';
import type { PreprocessingChoice } from '../../src-main/backbone/preprocessing.ts';
import { mapName } from '../../src-main/backbone/surgery.ts';
import { writePlainVit } from '../../src-main/backbone/plain-vit.ts';
import type { Progress } from '../../src-main/base/progress.ts';
import { imagesOf, locate, type Dataset } from '../../src-main/data/dataset.ts';
import { startDecoder } from '../../src-main/data/decode/start-decoder.ts';
import { importDataset } from '../../src-main/data/import.ts';
import { writeOrientationSet } from '../../src-main/data/sample/orientation.ts';
import { createSession } from '../../src-main/engine/session.ts';
import { decodeModel } from '../../src-main/engine/onnx/model.ts';
import { exportRun, type ExportRequest } from '../../src-main/export/export-run.ts';
import type { Network } from '../../src-main/methods/network.ts';
import { buildNetwork } from '../../src-main/training/build-network.ts';
import { writeParameters } from '../../src-main/training/checkpoint.ts';
import { frozenFactsOf } from '../../src-main/training/open-run.ts';
import { ParameterLayout } from '../../src-main/training/parameters.ts';
import { runFile, writeConfig, type RunConfig } from '../../src-main/training/run-folder.ts';
import { completeSettings, type SettingsChoice } from '../../src-main/training/settings.ts';
import { Workspace } from '../../src-main/workspace/workspace.ts';
import { randomParameters } from '../unit/export/networks.ts';
import { floatImages } from '../unit/export/tapped.ts';

const shared = process.env.SIDETUNE_SHARED ?? join(import.meta.dirname, '../../../shared');
const vitTiny = join(shared, 'models/vit_tiny_patch16_224.onnx');
const signs = join(shared, 'data/signs10');
if (!existsSync(vitTiny) || !existsSync(signs))
  console.warn(`SKIPPED: ViT-Ti or pictures are absent (${shared}); set SIDETUNE_SHARED`);

const choices: SettingsChoice[] = [
  { method: 'linear' },
  { method: 'last', rank: 3, depth: 2 },
  { method: 'last', rank: 3, group: 2, pool: 'mean' },
  { method: 'miet', rank: 4, depth: 2 },
];

interface Stage {
  workspace: Workspace;
  backbone: Backbone;
  dataset: Dataset;
}

let base: string;
let stage: Stage;
/** When the pictures were written, in seconds. */
const WRITTEN = 1.6e9;

beforeAll(async () => {
  base = await mkdtemp(join(tmpdir(), 'export-run-'));
  const file = join(base, 'tiny.onnx');
  await writeFile(file, writePlainVit({ size: 32, width: 24, blocks: 4, heads: 2 }));
  const source = join(base, 'hearts');
  await writeOrientationSet(source, { train: 32, val: 20, test: 16 });
  // Whole seconds, which can be put back.
  for (const name of await readdir(source, { recursive: true })) await utimes(join(source, name), WRITTEN, WRITTEN);
  stage = await setStage('small', file, source);
});
afterAll(() => rm(base, { recursive: true }));

/** A workspace with one backbone and one dataset. */
async function setStage(name: string, backboneFile: string, source: string): Promise<Stage> {
  const workspace = await Workspace.open(join(base, 'workspaces', name));
  const preprocessing: PreprocessingChoice = { mean: [0.4, 0.5, 0.6], std: [0.4, 0.5, 0.6] };
  const backbone = await addBackbone(workspace, backboneFile, { preprocessing });
  const decoder = await startDecoder({ concurrency: 2 });
  const dataset = await importDataset(workspace, source, {}, { decoder });
  await decoder.close();
  return { workspace, backbone, dataset };
}

/** A run as training leaves it, every parameter random. */
async function writeRun(
  { workspace, backbone, dataset }: Stage,
  run: string,
  choice: SettingsChoice,
  config: Partial<RunConfig> = {},
): Promise<Network> {
  const { blocks, width, prefix } = backbone.structure;
  const settings = completeSettings(choice, { name: backbone.name, blocks, width, prefix });
  const network = buildNetwork(settings, frozenFactsOf(backbone, dataset.classes.length), 'plain');
  const layout = new ParameterLayout(network.parameters);
  await writeConfig(workspace, {
    ...{ version: 1, run, created: new Date().toISOString(), dataset: dataset.name, backbone: backbone.name },
    ...{ backboneSha256: backbone.sha256, classes: dataset.classes, settings, noTest: false },
    data: { train: '', val: '', test: '' },
    ...{ parameters: layout.count('side'), headParameters: layout.count('head'), engine: 'compiled', device: 'cpu' },
    ...{ threads: 1, stepForm: 'low-rank', microBatch: 8, scales: network.maps.map(() => 1) },
    ...config,
  });
  const best = runFile(workspace, run, 'best');
  await writeParameters(best, layout, randomParameters(network), { epoch: '3', top1: '0.5', macro: '0.25' });
  return network;
}

const metadataOf = async (path: string): Promise<Record<string, string>> =>
  Object.fromEntries(decodeModel(await readFile(path)).metadataProps.map(({ key, value }) => [key, value]));

describe.each(choices)('exporting a run: %o', (choice) => {
  const run = `run-${choices.indexOf(choice)}`;

  it('writes both models, which agree with the app, and says so', async () => {
    const { backbone, dataset } = stage;
    const network = await writeRun(stage, run, choice);
    const out = join(base, 'out', run);
    const seen: Progress[] = [];
    const result = await exportRun(stage.workspace, { run, out }, { onProgress: (progress) => seen.push(progress) });
    const names = ['adaptor.onnx', 'merged.onnx', 'labels.txt', 'preprocessing.json', 'README.md'];
    expect(result.files).toEqual(names.map((name) => join(out, name)));
    expect((await readdir(out)).sort()).toEqual(names.sort());
    const { adaptor, merged, ...overall } = result.parity;
    expect(overall).toEqual(merged);
    for (const parity of [adaptor!, merged!]) {
      expect(parity).toMatchObject({ images: 20, top1Changes: 0 });
      expect(parity.maxAbsLogit).toBeLessThan(1e-4);
    }
    expect(seen.at(-1)).toMatchObject({ done: 20, total: 20 });
    for (const file of result.files.slice(0, 2)) {
      const metadata = await metadataOf(file);
      expect(JSON.parse(metadata.labels!)).toEqual(dataset.classes);
      expect(JSON.parse(metadata.preprocessing!)).toEqual(backbone.preprocessing);
      expect(JSON.parse(metadata.maps!)).toEqual(network.maps.map(mapName));
      expect(JSON.parse(metadata.provenance!)).toMatchObject({ run, val: { top1: 0.5, macro: 0.25 }, test: null });
    }
    expect(await readFile(join(out, 'labels.txt'), 'utf8')).toBe(`${dataset.classes.join('\n')}\n`);
  });
});

it.each(choices)(
  'keeps weights as float16 where that is asked for, within a tolerance of its own: %o',
  async (choice) => {
    const run = `half-${choices.indexOf(choice)}`;
    await writeRun(stage, run, choice);
    const whole = await exportRun(stage.workspace, { run, out: join(base, 'out', `${run}-whole`) });
    const out = join(base, 'out', run);
    const { files, bytes, parity } = await exportRun(stage.workspace, { run, out, half: true });
    expect(bytes).toEqual(await Promise.all(files.map(async (file) => (await stat(file)).size)));
    expect(bytes[1]! / whole.bytes[1]!).toBeLessThan(0.7);
    for (const { images, maxAbsLogit, bound, changed, top1Changes } of [parity.adaptor!, parity.merged!]) {
      expect(images).toBe(20);
      expect(maxAbsLogit).toBeLessThan(bound);
      expect(changed).toHaveLength(top1Changes);
      for (const { image, margin } of changed) {
        expect(existsSync(image)).toBe(true);
        expect(margin).toBeLessThan(bound);
      }
    }
    expect(parity.merged!.maxAbsLogit).toBeGreaterThan(whole.parity.merged!.maxAbsLogit);
    expect((await metadataOf(files[1]!)).precision).toBe('float16 weights, float32 arithmetic');
    expect(await readFile(join(out, 'README.md'), 'utf8')).toContain('Matrices are kept as float16');
  },
);

it('exports one form alone, which opens by itself', async () => {
  await writeRun(stage, 'alone', choices[1]!);
  const out = join(base, 'out', 'alone');
  const { parity, files } = await exportRun(stage.workspace, { run: 'alone', out, form: 'merged' });
  expect(Object.keys(parity)).toEqual(['images', 'maxAbsLogit', 'top1Changes', 'bound', 'changed', 'merged']);
  expect(await readdir(out)).not.toContain('adaptor.onnx');
  const session = await createSession(files[0]!, { threads: 1 });
  const images = floatImages(stage.backbone.structure, 2);
  expect((await session.run({ pixel_values: images })).logits!.dims).toEqual([2, stage.dataset.classes.length]);
  await session.release();
});

describe.skipIf(!existsSync(vitTiny) || !existsSync(signs))('exporting from ViT-Ti and real pictures', () => {
  it.each(choices)('agrees with the app: %o', async (choice) => {
    const source = join(base, 'signs');
    for (const split of ['train', 'val']) {
      const list = await readFile(join(signs, split === 'train' ? 'train800.txt' : 'val200.txt'), 'utf8');
      const lines = list.split('\n').map((line) => line.split(' '));
      for (const label of ['0', '1', '2']) {
        await mkdir(join(source, split, label), { recursive: true });
        for (const [path] of lines.filter((line) => line[1] === label).slice(0, 3))
          await copyFile(join(signs, path!), join(source, split, label, basename(path!)));
      }
    }
    const real = await setStage('real', vitTiny, source);
    const run = `real-${choices.indexOf(choice)}`;
    await writeRun(real, run, choice);
    const { parity } = await exportRun(real.workspace, { run, out: join(base, 'out', run) });
    expect(parity.adaptor).toMatchObject({ images: 9, top1Changes: 0 });
    expect(parity.merged).toMatchObject({ images: 9, top1Changes: 0 });
  });
});

describe('an export that cannot be', () => {
  const refused = (request: ExportRequest) => expect(exportRun(stage.workspace, request)).rejects;

  it('is refused: no such run, no parameters yet, another backbone', async () => {
    const out = join(base, 'out', 'never');
    await refused({ run: 'nowhere', out }).toMatchObject({ code: 'no-run' });
    await writeRun(stage, 'early', choices[0]!);
    await rm(runFile(stage.workspace, 'early', 'best'));
    await refused({ run: 'early', out }).toMatchObject({ code: 'unfinished' });
    await writeRun(stage, 'elsewhere', choices[0]!, { backboneSha256: '0'.repeat(64) });
    await refused({ run: 'elsewhere', out }).toMatchObject({ code: 'backbone-changed' });
  });

  describe('because a picture changed', () => {
    /** Puts another picture in a val picture's place for as long as `use` takes. */
    async function withOtherPicture(place: number, bytes: Buffer, use: () => Promise<void>): Promise<void> {
      const { path } = locate(stage.dataset, imagesOf(stage.dataset, 'val')[place]!);
      const before = await readFile(path);
      await writeFile(path, Buffer.concat([bytes, Buffer.alloc(Math.max(0, before.length - bytes.length))]));
      await utimes(path, WRITTEN, WRITTEN);
      try {
        await use();
      } finally {
        await writeFile(path, before);
        await utimes(path, WRITTEN, WRITTEN);
      }
    }
    const picture = (size: number) =>
      sharp({ create: { width: size, height: size, channels: 3, background: 'red' } })
        .png({ compressionLevel: size < 100 ? 9 : 0 })
        .toBuffer();

    it('writes nothing when that shows', async () => {
      await writeRun(stage, 'changed', choices[1]!);
      const out = join(base, 'out', 'changed');
      await withOtherPicture(4, await picture(200), () =>
        refused({ run: 'changed', out }).toMatchObject({ code: 'image-changed' }),
      );
      expect(await readdir(out)).toEqual([]);
    });

    it('writes nothing when the exported model disagrees with the app, on pictures from all over the list', async () => {
      await writeRun(stage, 'disagrees', choices[1]!);
      const out = join(base, 'out', 'disagrees');
      const small = await picture(9);
      // Of 20 images every fourth is compared on: the fourth-last, not the one before it.
      await withOtherPicture(16, small, () =>
        refused({ run: 'disagrees', out, images: 5 }).toMatchObject({ code: 'export-parity' }),
      );
      expect(await readdir(out)).toEqual([]);
      await withOtherPicture(15, small, async () => {
        const { parity } = await exportRun(stage.workspace, { run: 'disagrees', out, images: 5 });
        expect(parity.images).toBe(5);
      });
    });
  });

  it('stops when asked to', async () => {
    await writeRun(stage, 'stopped', choices[0]!);
    const out = join(base, 'out', 'stopped');
    await expect(
      exportRun(stage.workspace, { run: 'stopped', out }, { signal: AbortSignal.abort() }),
    ).rejects.toThrow();
    expect(await readdir(out)).toEqual([]);
  });
});

it('exports with scales that hold both the training images and those compared on', async () => {
  const network = await writeRun(stage, 'scaled', choices[1]!, { scales: [4, 1, 1, 8] });
  const out = join(base, 'out', 'scaled');
  const { parity } = await exportRun(stage.workspace, { run: 'scaled', out, images: 5 });
  expect(parity).toMatchObject({ images: 5, top1Changes: 0 });
  expect(network.maps).toHaveLength(4);
  expect(JSON.parse((await metadataOf(join(out, 'adaptor.onnx'))).scales!)).toEqual([4, 1, 1, 8]);
});

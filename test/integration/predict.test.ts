import { copyFile, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'csv-parse/sync';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { addBackbone } from '../../src-main/backbone/add-backbone.ts';
import { writePlainVit } from '../../src-main/backbone/plain-vit.ts';
import { tensorValues } from '../../src-main/backbone/tensors.ts';
import { decodeModel, encodeModel, floatTensor } from '../../src-main/engine/onnx/model.ts';
import { describePredictions } from '../../src-main/cli/prediction-words.ts';
import { predict, type Prediction } from '../../src-main/studio/predict.ts';
import { buildNetwork } from '../../src-main/training/build-network.ts';
import { writeParameters } from '../../src-main/training/checkpoint.ts';
import { frozenFactsOf } from '../../src-main/training/open-run.ts';
import { ParameterLayout } from '../../src-main/training/parameters.ts';
import { runFile, writeConfig } from '../../src-main/training/run-folder.ts';
import { completeSettings } from '../../src-main/training/settings.ts';
import { Workspace } from '../../src-main/workspace/workspace.ts';
import { randomFloats } from '../unit/engine/random-floats.ts';

const SIZE = 16;
const classes = ['ash', 'beech', 'cedar'];

let folder: string;
let workspace: Workspace;
/** Two pictures near grey, one of full contrast, and a file that is not there. */
let images: string[];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'predict '));
  workspace = await Workspace.open(join(folder, 'workspace'));
  images = ['low.png', 'full.png', 'none.png', 'lower.png'].map((name) => join(folder, name));
  await draw(images[0]!, 8);
  await draw(images[1]!, 255);
  await draw(images[3]!, 3);
});
afterAll(() => rm(folder, { recursive: true }));

async function draw(path: string, contrast: number): Promise<void> {
  const pixels = Uint8Array.from({ length: 3 * SIZE * SIZE }, (_, i) => 127.5 + (contrast / 2) * Math.sin(i * i));
  await sharp(pixels, { raw: { width: SIZE, height: SIZE, channels: 3 } })
    .png()
    .toFile(path);
}

/** A LAST run with random parameters on a ViT whose patch weights are multiplied by `gain`. */
async function makeRun(run: string, gain: number, scales: number[]): Promise<void> {
  const model = decodeModel(writePlainVit({ size: SIZE, patch: 4, width: 12, blocks: 2, heads: 3 }));
  const { initializer } = model.graph!;
  const place = initializer.findIndex(({ name }) => name === 'patch.weight');
  const values = Float32Array.from(tensorValues(initializer[place]!)!, (value) => value * gain);
  initializer[place] = floatTensor('patch.weight', initializer[place]!.dims.map(Number), values);
  const file = join(folder, `gain${gain}.onnx`);
  await writeFile(file, encodeModel(model));
  const backbone = await addBackbone(workspace, file);
  const { blocks, width, prefix } = backbone.structure;
  const settings = completeSettings({ method: 'last', rank: 3 }, { name: backbone.name, blocks, width, prefix });
  const layout = new ParameterLayout(
    buildNetwork(settings, frozenFactsOf(backbone, classes.length), 'plain').parameters,
  );
  await writeConfig(workspace, {
    ...{ version: 1, run, created: new Date().toISOString(), dataset: 'trees', backbone: backbone.name },
    ...{ backboneSha256: backbone.sha256, data: { train: '', val: '', test: '' }, classes, settings, scales },
    ...{ parameters: layout.count('side'), headParameters: layout.count('head'), noTest: false },
    ...{ engine: 'compiled', device: 'cpu', threads: 1, stepForm: 'plain', microBatch: 8 },
  });
  await writeParameters(runFile(workspace, run, 'best'), layout, randomFloats(layout.size, 4), {});
}

async function predictions(run: string): Promise<Prediction[]> {
  return (await predict(workspace, { run, images, threads: 1 })).predictions;
}

function probabilities(prediction: Prediction | undefined): number[] {
  if (!prediction || 'error' in prediction) throw new Error(prediction?.error ?? 'none');
  const byIndex = prediction.top.toSorted((a, b) => a.index - b.index);
  return byIndex.map(({ probability }) => probability);
}

describe('predict', () => {
  it('answers for a picture whose maps are too large for the scales of training, as with larger ones', async () => {
    // With this gain P1_2 of the picture of full contrast is beyond half precision, and of the others far below.
    await makeRun('small-scales', 6e3, [1, 1]);
    await makeRun('large-scales', 6e3, [16, 16]);
    const [found, wanted] = [await predictions('small-scales'), await predictions('large-scales')];
    expect(found.map(({ image }) => image)).toEqual(images);
    expect(found[2]).toEqual({ image: images[2], error: expect.stringContaining('missing') as string });
    for (const index of [0, 1, 3]) {
      const [some, others] = [probabilities(found[index]), probabilities(wanted[index])];
      expect(some.reduce((sum, value) => sum + value, 0)).toBeCloseTo(1, 5);
      some.forEach((value, at) => expect(value).toBeCloseTo(others[at]!, 4));
    }
    expect(probabilities(found[0])).not.toEqual(probabilities(found[1]));
  });

  it('says why a picture gets no answer where its maps are beyond all scales, and answers for the others', async () => {
    await makeRun('broken', 1e16, [1, 1]);
    const found = await predictions('broken');
    expect(found[1]).toEqual({
      image: images[1],
      error: expect.stringMatching(/^The backbone's feature map P1_1 is not finite/) as string,
    });
    expect(found[2]).toHaveProperty('error');
    for (const index of [0, 3]) expect(probabilities(found[index])).toHaveLength(classes.length);
  });

  it('takes folders for the images in them, and writes a file', async () => {
    await makeRun('walked', 1, [1, 1]);
    const album = join(folder, 'album, "2"');
    await mkdir(join(album, 'deep'), { recursive: true });
    for (const name of ['b.png', 'deep/a.PNG', 'a\n.png']) await copyFile(images[0]!, join(album, name));
    await writeFile(join(album, 'broken.jpg'), 'no picture');
    await writeFile(join(album, 'notes.txt'), 'no picture either');
    await symlink(album, join(album, 'again'));
    const out = join(folder, 'p.csv');
    const asked = [images[1]!, album];
    const answer = await predict(workspace, { run: 'walk', images: asked, out, threads: 1 });
    expect(answer.out).toBe(out);
    const names = ['a\n.png', 'b.png', 'broken.jpg', 'deep/a.PNG'].map((name) => join(album, name));
    expect(answer.predictions.map(({ image }) => image)).toEqual([images[1], ...names]);
    const rows = parse<Record<string, string>>(await readFile(out, 'utf8'), { columns: true });
    expect(rows.map(({ path }) => path)).toEqual([images[1], ...names]);
    answer.predictions.forEach((prediction, index) => {
      const { predicted, probability, error } = rows[index]!;
      if ('error' in prediction) expect({ predicted, error }).toEqual({ predicted: '', error: prediction.error });
      else {
        expect({ predicted, error }).toEqual({ predicted: prediction.label, error: '' });
        expect(Number(probability)).toBe(prediction.top[0]!.probability);
      }
    });
    const words = describePredictions(answer).split('\n');
    expect(words[0]).toBe(`Wrote ${out}`);
    expect(words.at(-1)).toMatch(/^5 images: .*could not be read 1$/);
    await mkdir(join(folder, 'empty'));
    const nothing = predict(workspace, { run: 'walked', images: [join(folder, 'empty')], threads: 1 });
    await expect(nothing).rejects.toMatchObject({ code: 'no-images' });
  });

  it('gives nothing for nothing', async () => {
    expect(await predict(workspace, { run: 'broken', images: [], threads: 1 })).toEqual({ predictions: [] });
  });
});

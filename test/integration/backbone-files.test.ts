/** What a file may be in place of one tidy ONNX model, and what comes with it: weights beside it, its preprocessing. */
import { mkdir, mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { create } from '@bufbuild/protobuf';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { addBackbone } from '../../src-main/backbone/add-backbone.ts';
import { loadBackbone, readModel } from '../../src-main/backbone/catalogue.ts';
import { writePlainVit } from '../../src-main/backbone/plain-vit.ts';
import { DataType, decodeModel, encodeModel, valueInfo } from '../../src-main/engine/onnx/model.ts';
import { StringStringEntryProtoSchema, TensorProto_DataLocation } from '../../src-main/engine/onnx/onnx_pb.ts';
import { FrozenVit } from '../../src-main/features/frozen-vit.ts';
import * as studio from '../../src-main/studio/backbones.ts';
import { Workspace } from '../../src-main/workspace/workspace.ts';

const small = { size: 16, patch: 4, width: 12, blocks: 2, heads: 3 };
let folder: string;
let workspace: Workspace;
let file: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'backbone files '));
  workspace = await Workspace.open(join(folder, 'workspace'));
  file = join(folder, 'model.onnx');
});
afterEach(() => rm(folder, { recursive: true }));

const entry = (key: string, value: string) => create(StringStringEntryProtoSchema, { key, value });

/** Writes the ViT with its larger weights in `location`, as exporters do. */
async function writeExternal(location: string): Promise<void> {
  const model = decodeModel(writePlainVit(small));
  const parts: Uint8Array[] = [];
  let offset = 0;
  for (const tensor of model.graph!.initializer) {
    if (tensor.rawData.length < 1000) continue;
    const { length } = tensor.rawData;
    tensor.externalData = [entry('location', location), entry('offset', `${offset}`), entry('length', `${length}`)];
    tensor.dataLocation = TensorProto_DataLocation.EXTERNAL;
    parts.push(tensor.rawData);
    tensor.rawData = new Uint8Array();
    offset += length;
  }
  await writeFile(file, encodeModel(model));
  await writeFile(join(folder, 'model.onnx_data'), Buffer.concat(parts));
}

describe('weights beside the model', () => {
  it('are taken into the backbone, which then needs no other file', async () => {
    await writeExternal('model.onnx_data');
    const added = await addBackbone(workspace, file);
    expect(await addBackbone(workspace, file)).toEqual(added);
    await rm(join(folder, 'model.onnx_data'));
    const whole = decodeModel(writePlainVit(small)).graph!.initializer;
    const stored = (await readModel(await loadBackbone(workspace, 'model'))).graph!.initializer;
    expect(stored.map(({ name, rawData }) => [name, Buffer.from(rawData)])).toEqual(
      whole.map(({ name, rawData }) => [name, Buffer.from(rawData)]),
    );
  });

  it('are missed in one sentence, and when they are cut short or elsewhere too', async () => {
    await writeExternal('model.onnx_data');
    const data = join(folder, 'model.onnx_data');
    await truncate(data, 3000);
    await expect(addBackbone(workspace, file)).rejects.toThrow(
      /model\.onnx_data" ends after 3000 bytes and before the weights of ".+": it is cut short/,
    );
    await rm(data);
    await expect(addBackbone(workspace, file)).rejects.toThrow(
      `"model.onnx" keeps its weights in "model.onnx_data", which was looked for beside it and is not there (${data}): put the two in one folder.`,
    );
    await writeExternal('../model.onnx_data');
    await expect(addBackbone(workspace, file)).rejects.toThrow(/which is not beside it: save it again as one file/);
    expect((await studio.listBackbones(workspace)).backbones.map(({ name }) => name)).not.toContain('model');
  });
});

describe('files that are no ONNX model', () => {
  const zip = Buffer.from('PK\u0003\u0004 archive/data.pkl');
  it.each([
    ['empty', Buffer.alloc(0), 'is empty: copy or export it again.'],
    ['text', Buffer.from('Once upon a time\n'), 'is a text file, not an ONNX model'],
    ['a Git LFS pointer', Buffer.from('version https://git-lfs.github.com/spec/v1\n'), 'is a Git LFS pointer'],
    ['a checkpoint', zip, 'is a PyTorch checkpoint or a zip file, not an ONNX model: export the model to ONNX first.'],
    ['safetensors', Buffer.from('\u0010\0\0\0\0\0\0\0{"__metadata__":{}}'), 'is a safetensors file'],
    ['cut short', Buffer.from(writePlainVit(small).subarray(0, 5000)), 'is no ONNX model, or is cut short'],
    ['noise', Buffer.from(Array.from({ length: 400 }, (_, i) => (i * 89) % 256)), 'is no ONNX model'],
  ])('%s', async (_, bytes, words) => {
    await writeFile(file, bytes);
    await expect(addBackbone(workspace, file)).rejects.toMatchObject({
      code: 'backbone-not-onnx',
      message: expect.stringContaining(`"${file}" ${words}`) as string,
    });
  });
});

describe('preprocessing that is stated', () => {
  const clip = {
    ...{ do_normalize: true, image_mean: [0.48, 0.46, 0.41], image_std: [0.27, 0.26, 0.28], resample: 3 },
    ...{ do_center_crop: true, size: { shortest_edge: 20 }, crop_size: { height: 16, width: 16 } },
  };
  const vit = { image_mean: [0.5, 0.5, 0.5], image_std: [0.5, 0.5, 0.5], resample: 2, size: { height: 16, width: 16 } };

  it('in preprocessor_config.json beside the file or above its folder is taken, unless flags say otherwise', async () => {
    await writeFile(file, writePlainVit(small));
    await writeFile(join(folder, 'preprocessor_config.json'), JSON.stringify(clip));
    expect(await addBackbone(workspace, file)).toMatchObject({
      preprocessingFrom: 'preprocessor_config.json',
      preprocessing: { mean: [0.48, 0.46, 0.41], std: [0.27, 0.26, 0.28], fit: 'crop', cropPct: 0.8, width: 16 },
    });
    const flags = await addBackbone(workspace, file, { name: 'flags', preprocessing: { fit: 'squash' } });
    expect(flags.preprocessing).toMatchObject({ mean: [0.48, 0.46, 0.41], fit: 'squash', interpolation: 'bicubic' });
    expect((await loadBackbone(workspace, 'flags')).preprocessingFrom).toBe('preprocessor_config.json');

    await mkdir(join(folder, 'onnx'));
    const below = join(folder, 'onnx', 'below.onnx');
    await writeFile(below, writePlainVit(small));
    await writeFile(join(folder, 'preprocessor_config.json'), JSON.stringify(vit));
    expect((await studio.inspectBackbone(workspace, below)).preprocessing).toMatchObject({
      fit: 'squash',
      interpolation: 'bilinear',
    });
  });

  it('in timm’s config.json, or in the model’s metadata, which comes first', async () => {
    const timm = { mean: [0.4, 0.5, 0.6], std: [0.2, 0.2, 0.2], crop_pct: 0.9, interpolation: 'bilinear' };
    await writeFile(join(folder, 'config.json'), JSON.stringify({ pretrained_cfg: timm }));
    await writeFile(file, writePlainVit(small));
    expect(await addBackbone(workspace, file)).toMatchObject({
      preprocessingFrom: 'config.json',
      preprocessing: { mean: [0.4, 0.5, 0.6], fit: 'crop', cropPct: 0.9, interpolation: 'bilinear' },
    });
    const model = decodeModel(writePlainVit(small));
    const { preprocessing } = await loadBackbone(workspace, 'model');
    const own = { ...preprocessing, mean: [0, 0, 0], std: [1, 1, 1] };
    model.metadataProps.push(entry('preprocessing', JSON.stringify(own)));
    const marked = join(folder, 'marked.onnx');
    await writeFile(marked, encodeModel(model));
    expect(await addBackbone(workspace, marked)).toMatchObject({
      preprocessingFrom: "the model's metadata",
      preprocessing: own,
    });
  });

  it('in a file that is damaged is said to be', async () => {
    await writeFile(file, writePlainVit(small));
    await writeFile(join(folder, 'preprocessor_config.json'), '{"image_mean": [');
    await expect(addBackbone(workspace, file)).rejects.toThrow(/preprocessor_config\.json" should say how images/);
  });
});

describe('a size that the file leaves open', () => {
  it('is that of the position embedding, and another only where the model can', async () => {
    const model = decodeModel(writePlainVit(small));
    model.graph!.input = [valueInfo('pixel_values', DataType.FLOAT, ['batch', 3, 'height', 'width'])];
    await writeFile(file, encodeModel(model));
    expect((await addBackbone(workspace, file)).preprocessing).toMatchObject({ width: 16, height: 16 });
    await expect(addBackbone(workspace, file, { name: 'larger', preprocessing: { size: 32 } })).rejects.toThrow(
      'The model takes no images of 32 x 32 pixels, although its file leaves the size open: leave --size out, or export it for 32 pixels.',
    );
    const free = join(import.meta.dirname, '../fixtures/exports/vit-any-size.onnx');
    await expect(addBackbone(workspace, free, { name: 'huge', preprocessing: { size: 100_000 } })).rejects.toThrow(
      /^Images of 100000 x 100000 pixels are [\d,]+ patches, whose attention would take .* GB .*: give a smaller --size\.$/,
    );
    expect(await addBackbone(workspace, free, { preprocessing: { size: 64 } })).toMatchObject({
      structure: { imageWidth: 64, tokens: 65, prefix: 1 },
      preprocessing: { width: 64 },
    });
  });
});

describe('batches', () => {
  it.each(['timm-vit-batch-1', 'timm-vit-batch-8-dynamo', 'timm-vit-half', 'vit-any-size'])(
    '%s gives an image the same features alone and among others',
    async (name) => {
      const source = join(import.meta.dirname, `../fixtures/exports/${name}.onnx`);
      const backbone = await addBackbone(workspace, source);
      const map = { kind: 'P', group: 1, index: 2 } as const;
      const vit = await FrozenVit.open(backbone, [map], { threads: 1, batch: 4 });
      try {
        const { tokens, width } = backbone.structure;
        expect(vit.batch).toBe(backbone.structure.input.batch ?? 4);
        const each = 3 * 32 * 32;
        const pixels = Float32Array.from({ length: vit.batch * each }, (_, i) =>
          Math.sin(i / 7 + Math.floor(i / each)),
        );
        const all = await vit.run(pixels, vit.batch, [1]);
        const last = pixels.slice((vit.batch - 1) * each);
        const alone = await vit.run(last, 1, [1]);
        expect(alone.baseMean).toHaveLength(width);
        expect(alone.maps[0]!.rowSums).toHaveLength(tokens);
        expect(Math.hypot(...alone.baseMean)).toBeGreaterThan(0.1);
        alone.baseMean.forEach((value, i) => {
          expect(value).toBeCloseTo(all.baseMean[(vit.batch - 1) * width + i]!, 2);
        });
      } finally {
        await vit.close();
      }
    },
  );

  it('of one image alone are taken where the file promises any number and its graph does not keep it', async () => {
    const model = decodeModel(writePlainVit({ ...small, batch: 1 }));
    // Its shapes are those of one image, whatever the input says.
    for (const tensor of model.graph!.initializer)
      if (tensor.name.startsWith('attention.') && tensor.dataType === (DataType.INT64 as number)) {
        const shape = new BigInt64Array(Uint8Array.from(tensor.rawData).buffer);
        shape[0] = 1n;
        tensor.rawData = new Uint8Array(shape.buffer);
      }
    model.graph!.input = [valueInfo('pixel_values', DataType.FLOAT, ['batch', 3, 16, 16])];
    model.graph!.output = [valueInfo('last_hidden_state', DataType.FLOAT, ['batch', 17, 12])];
    await writeFile(file, encodeModel(model));
    expect((await addBackbone(workspace, file)).structure.input).toMatchObject({ batch: 1, batchSymbol: null });
  });
});

describe('one file under two names, and removing', () => {
  it('says which are the same, and removes one', async () => {
    await writeFile(file, writePlainVit(small));
    const first = await studio.addBackbone(workspace, { file, name: 'first' });
    expect(first.sameAs).toBeUndefined();
    expect(first.bytes).toBe((await readFile(file)).length);
    expect((await studio.addBackbone(workspace, { file, name: 'second' })).sameAs).toEqual(['first']);
    const cropped = { file, name: 'cropped', preprocessing: { fit: 'crop' } } as const;
    expect((await studio.addBackbone(workspace, cropped)).sameAs).toBeUndefined();
    await studio.removeBackbone(workspace, 'first');
    const names = (await studio.listBackbones(workspace)).backbones.map(({ name }) => name);
    expect(names).toContain('second');
    expect(names).not.toContain('first');
    await readFile(file);
    await expect(studio.removeBackbone(workspace, 'first')).rejects.toMatchObject({ code: 'unknown-backbone' });
    await writeFile(join(workspace.backbone('second'), 'backbone.json'), '{');
    await studio.removeBackbone(workspace, 'second');
    expect((await studio.listBackbones(workspace)).damaged).toEqual([]);
  });
});

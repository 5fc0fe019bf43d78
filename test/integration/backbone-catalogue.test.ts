import { existsSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { addBackbone } from '../../src-main/backbone/add-backbone.ts';
import {
  describeBackbone,
  listBackbones,
  loadBackbone,
  readModel,
  surveyBackbones,
} from '../../src-main/backbone/catalogue.ts';
import { findBlocks } from '../../src-main/backbone/find-blocks.ts';
import { writePlainVit } from '../../src-main/backbone/plain-vit.ts';
import { Workspace } from '../../src-main/workspace/workspace.ts';

const shared = process.env.SIDETUNE_SHARED ?? join(import.meta.dirname, '../../../shared');
const vitTiny = join(shared, 'models/vit_tiny_patch16_224.onnx');
if (!existsSync(vitTiny)) console.warn(`SKIPPED: ViT-Ti is absent (${vitTiny}); set SIDETUNE_SHARED`);

const small = { size: 16, patch: 4, width: 12, blocks: 2, heads: 3 };
let folder: string;
let workspace: Workspace;
let file: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'backbone catalogue '));
  workspace = await Workspace.open(join(folder, 'workspace'));
  file = join(folder, 'my vit.onnx');
  await writeFile(file, writePlainVit(small));
});

afterEach(() => rm(folder, { recursive: true }));

describe('the catalogue of backbones', () => {
  it('adds, describes, lists and reads back', async () => {
    const added = await addBackbone(workspace, file, { preprocessing: { fit: 'crop', cropPct: 0.9 } });
    expect(describeBackbone(added)).toEqual({
      name: 'my vit',
      blocks: 2,
      width: 12,
      tokens: 17,
      prefix: 1,
      heads: 3,
      parameters: 12 * 48 + 12 + 12 + 17 * 12 + 2 * (12 * 144 + 13 * 12) + 2 * 12,
      taps: ['embedding', 'block0.state', 'block1.state'],
      preprocessing: {
        width: 16,
        height: 16,
        mean: [0.5, 0.5, 0.5],
        std: [0.5, 0.5, 0.5],
        fit: 'crop',
        cropPct: 0.9,
        interpolation: 'bicubic',
      },
    });
    expect(await loadBackbone(workspace, 'my vit')).toEqual(added);
    expect(await listBackbones(workspace)).toEqual([added]);
    expect(added.modelPath).not.toBe(file);
    await rm(file);
    expect(findBlocks(await readModel(added))).toEqual(added.structure);
  });

  it('reuses the entry of the same path, under whatever name it is', async () => {
    const named = await addBackbone(workspace, file, { name: 'chosen', preprocessing: { fit: 'crop' } });
    expect(await addBackbone(workspace, file)).toEqual(named);
    expect(await addBackbone(workspace, file, { preprocessing: { fit: 'crop' } })).toEqual(named);
    expect(await listBackbones(workspace)).toHaveLength(1);
    const again = addBackbone(workspace, file, { name: 'chosen', preprocessing: { fit: 'squash' } });
    await expect(again).rejects.toThrow(/already there with other preprocessing/);
  });

  it('refuses a name taken by another file, and a file that has changed', async () => {
    await addBackbone(workspace, file);
    const other = join(folder, 'other.onnx');
    await cp(file, other);
    await expect(addBackbone(workspace, other, { name: 'my vit' })).rejects.toMatchObject({
      code: 'name-taken',
      message: `The name "my vit" is taken by the backbone from "${file}": give another with --name.`,
    });
    await writeFile(file, writePlainVit({ ...small, seed: 9 }));
    await expect(addBackbone(workspace, file)).rejects.toThrow(/has changed since it was added as backbone "my vit"/);
    expect((await addBackbone(workspace, file, { name: 'newer' })).name).toBe('newer');
  });

  it('takes one of two files that are added under one name at once, and one file once', async () => {
    const other = join(folder, 'other.onnx');
    await writeFile(other, writePlainVit({ ...small, seed: 9 }));
    const files = [file, other];
    const added = await Promise.allSettled(files.map((path) => addBackbone(workspace, path, { name: 'wanted' })));
    expect(added.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    expect(added.find(({ status }) => status === 'rejected')).toMatchObject({ reason: { code: 'name-taken' } });
    const loaded = await loadBackbone(workspace, 'wanted');
    expect(findBlocks(await readModel(loaded))).toEqual(loaded.structure);
    const twice = await Promise.all([addBackbone(workspace, file), addBackbone(workspace, file)]);
    expect(twice[1]).toEqual(twice[0]);
  });

  it('says what is wrong with a file', async () => {
    const bytes = await readFile(file);
    const bad = join(folder, 'bad.onnx');
    await writeFile(bad, bytes.subarray(0, bytes.length - 100));
    await expect(addBackbone(workspace, bad)).rejects.toMatchObject({ code: 'backbone-not-onnx' });
    await writeFile(bad, '');
    await expect(addBackbone(workspace, bad)).rejects.toMatchObject({ code: 'backbone-not-onnx' });
    await writeFile(bad, 'Once upon a time there was a text file.\n');
    await expect(addBackbone(workspace, bad)).rejects.toMatchObject({ code: 'backbone-not-onnx' });
    await expect(addBackbone(workspace, join(folder, 'none.onnx'))).rejects.toThrow(/none\.onnx" does not exist/);
    await expect(addBackbone(workspace, folder)).rejects.toThrow(/is a folder/);
    await expect(loadBackbone(workspace, 'bad')).rejects.toThrow(/no backbone "bad" \(it has none yet\)/);
    expect(await listBackbones(workspace)).toEqual([]);
  });

  it('does not list what was left half added, and completes it when added again', async () => {
    await mkdir(join(workspace.backbones, 'my vit'), { recursive: true });
    await writeFile(join(workspace.backbones, 'my vit', 'model.onnx'), 'torn');
    expect(await listBackbones(workspace)).toEqual([]);
    const added = await addBackbone(workspace, file);
    expect(findBlocks(await readModel(added))).toEqual(added.structure);
  });

  it('lists and adds beside a damaged entry, and says what is wrong with that one', async () => {
    const whole = await addBackbone(workspace, file);
    const path = join(workspace.backbone('broken'), 'backbone.json');
    await mkdir(workspace.backbone('broken'));
    await writeFile(path, '{"format": 1}');
    expect(await listBackbones(workspace)).toEqual([whole]);
    expect(await surveyBackbones(workspace)).toEqual({
      backbones: [whole],
      damaged: [{ name: 'broken', message: expect.stringContaining(`"${path}" is damaged`) as string }],
    });
    const other = join(folder, 'other.onnx');
    await writeFile(other, writePlainVit({ ...small, seed: 9 }));
    expect((await addBackbone(workspace, other)).name).toBe('other');
  });

  it('notices files that were damaged', async () => {
    const added = await addBackbone(workspace, file);
    await writeFile(added.modelPath, writePlainVit({ ...small, seed: 9 }));
    await expect(readModel(added)).rejects.toMatchObject({ code: 'damaged-file' });
    await writeFile(join(workspace.backbone('my vit'), 'backbone.json'), '{"format": 1}');
    await expect(loadBackbone(workspace, 'my vit')).rejects.toThrow(/backbone\.json" is damaged/);
  });

  it.skipIf(!existsSync(vitTiny))('adds ViT-Ti', async () => {
    const { taps, ...rest } = describeBackbone(await addBackbone(workspace, vitTiny));
    expect(rest).toMatchObject({
      name: 'vit_tiny_patch16_224',
      blocks: 12,
      width: 192,
      tokens: 197,
      prefix: 1,
      heads: 3,
    });
    expect(taps).toHaveLength(13);
  });
});

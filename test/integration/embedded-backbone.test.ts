import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { aboutEmbedded, EMBEDDED_BACKBONE, embeddedFile, readEmbedded } from '../../src-main/backbone/embedded.ts';
import { findBlocks } from '../../src-main/backbone/find-blocks.ts';
import { writePlainVit } from '../../src-main/backbone/plain-vit.ts';
import { writeOrientationSet } from '../../src-main/data/sample/orientation.ts';
import { addBackbone, inspectBackbone, listBackbones, resolveBackbone } from '../../src-main/studio/backbones.ts';
import { train } from '../../src-main/studio/train.ts';
import { Workspace } from '../../src-main/workspace/workspace.ts';
import { SHAPES_VIT, tokensOf } from '../../resources/backbone/pretraining/vit.ts';

let base: string;
beforeAll(async () => {
  base = await mkdtemp(join(tmpdir(), 'embedded backbone '));
});
afterAll(() => rm(base, { recursive: true }));

describe('the embedded backbone', () => {
  it('is the ViT that its pretraining describes, in less than 4 MB', async () => {
    const model = await readEmbedded();
    expect(findBlocks(model)).toMatchObject({
      imageHeight: SHAPES_VIT.size,
      imageWidth: SHAPES_VIT.size,
      patchSize: SHAPES_VIT.patch,
      blocks: SHAPES_VIT.blocks,
      width: SHAPES_VIT.width,
      heads: SHAPES_VIT.heads,
      tokens: tokensOf(SHAPES_VIT),
      prefix: 1,
      precision: 'float32',
    });
    expect(model.opsetImport.map(({ version }) => version)).toEqual([17n]);
    expect((await readFile(embeddedFile())).length).toBeLessThan(4_000_000);
    expect(aboutEmbedded(model)).toMatch(
      /^pretrained on [\d,]+ generated pictures of shapes; .* never seen a photograph$/,
    );
  });

  it('is there in every workspace, and in it once it is used', async () => {
    const workspace = await Workspace.open(join(base, 'new'));
    const listed = await listBackbones(workspace);
    expect(listed).toMatchObject({ backbones: [{ name: EMBEDDED_BACKBONE, blocks: 6 }], damaged: [] });
    const before = await inspectBackbone(workspace, EMBEDDED_BACKBONE);
    expect(before.about).toContain('generated pictures');
    expect(await workspace.list('backbones')).toEqual([]);

    expect(await resolveBackbone(workspace, EMBEDDED_BACKBONE)).toMatchObject({ name: EMBEDDED_BACKBONE });
    expect(await workspace.list('backbones')).toEqual([EMBEDDED_BACKBONE]);
    const { builtIn, ...known } = before;
    expect(builtIn).toBe(true);
    expect(await inspectBackbone(workspace, EMBEDDED_BACKBONE)).toEqual(known);
    const { about, ...short } = known;
    expect(about).toContain('generated pictures');
    expect(await listBackbones(workspace)).toEqual({ backbones: [short], damaged: [] });
  });

  it("steps back behind a workspace's own of its name", async () => {
    const workspace = await Workspace.open(join(base, 'own'));
    const file = join(base, 'own.onnx');
    await writeFile(file, writePlainVit({ size: 16, patch: 4, width: 12, blocks: 2, heads: 3 }));
    await addBackbone(workspace, { file, name: EMBEDDED_BACKBONE });
    expect((await resolveBackbone(workspace, EMBEDDED_BACKBONE)).structure.blocks).toBe(2);
    expect((await listBackbones(workspace)).backbones).toMatchObject([{ name: EMBEDDED_BACKBONE, blocks: 2 }]);
  });

  describe('elsewhere', () => {
    afterEach(() => {
      delete process.env.SIDETUNE_RESOURCES;
    });

    it('is looked for where an application says, and missed in one sentence', async () => {
      process.env.SIDETUNE_RESOURCES = join(base, 'nowhere');
      const workspace = await Workspace.open(join(base, 'without'));
      await expect(inspectBackbone(workspace, EMBEDDED_BACKBONE)).rejects.toMatchObject({
        code: 'missing-file',
        message: `The embedded backbone "${join(base, 'nowhere', 'backbone', 'shapes_vit_64.onnx')}" cannot be read: install the program again.`,
      });
    });
  });
});

it('has features that are worth far more than those of the same ViT with random weights', async () => {
  const workspace = await Workspace.open(join(base, 'probe'));
  const dataset = join(base, 'hearts');
  await writeOrientationSet(dataset, { train: 320, val: 64, test: 400, seed: 3 });
  const random = join(base, 'random.onnx');
  await writeFile(random, writePlainVit(SHAPES_VIT));
  const probe = async (backbone: string): Promise<number> => {
    const { test } = await train(workspace, { dataset, backbone, settings: { method: 'miet', epochs: 20 } });
    return test!.top1;
  };
  const [embedded, ofRandom] = [await probe(EMBEDDED_BACKBONE), await probe(random)];
  expect(embedded - ofRandom).toBeGreaterThan(0.1);
});

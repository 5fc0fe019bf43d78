import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findBlocks } from '../../src-main/backbone/find-blocks.ts';
import { writePlainVit } from '../../src-main/backbone/plain-vit.ts';
import { addTaps } from '../../src-main/backbone/surgery.ts';
import { decodeModel, encodeModel } from '../../src-main/engine/onnx/model.ts';
import type { ModelProto } from '../../src-main/engine/onnx/onnx_pb.ts';
import { trace } from '../../src-main/engine/trace/trace.ts';
import { adaptorModel } from '../../src-main/export/adaptor.ts';
import { cardMetadata } from '../../src-main/export/card.ts';
import { withHalfWeights } from '../../src-main/export/half-weights.ts';
import { mergedModel } from '../../src-main/export/merged.ts';
import { compareLogits, HALF_TOLERANCE, MERGED_TOLERANCE } from '../../src-main/export/parity.ts';
import type { StepForm } from '../../src-main/methods/network.ts';
import { ParameterLayout } from '../../src-main/training/parameters.ts';
import { gradientProgram, logitsProgram, updateProgram } from '../../src-main/training/programs.ts';
import { someCard } from '../unit/export/card.ts';
import { CLASSES, networkCases, randomParameters, someScales, type NetworkCase } from '../unit/export/networks.ts';
import { floatImages, inAppLogits, runModel } from '../unit/export/tapped.ts';

const shared = process.env.SIDETUNE_SHARED ?? join(import.meta.dirname, '../../../shared');
const vitTiny = join(shared, 'models/vit_tiny_patch16_224.onnx');
if (!existsSync(vitTiny)) console.warn(`SKIPPED: ViT-Ti is absent (${vitTiny}); set SIDETUNE_SHARED`);

const python = [process.env.SIDETUNE_PYTHON, 'python3'].find(
  (command) => command && spawnSync(command, ['-c', 'import onnx']).status === 0,
);
if (!python) console.warn("SKIPPED: no Python with 'onnx' for its checker; set SIDETUNE_PYTHON");

/** A backbone with a trained network on it. */
function trainedOn(backbone: ModelProto, { build, pool }: NetworkCase, form: StepForm = 'plain') {
  const structure = findBlocks(backbone);
  const { tokens, width, prefix, finalNorm, blocks } = structure;
  const layout = { tokens, width, prefix };
  const norm = { scale: finalNorm.scale, shift: finalNorm.bias, epsilon: finalNorm.epsilon };
  const network = build(layout, blocks, norm, form);
  return { structure, layout, network, pool, parameters: randomParameters(network), scales: someScales(network) };
}

describe.skipIf(!existsSync(vitTiny)).each(networkCases)('merged ViT-Ti with $name', (network) => {
  it('gives the logits of the app, in one model of opset 17', async () => {
    const backbone = decodeModel(readFileSync(vitTiny));
    expect(backbone.opsetImport.map(({ version }) => version)).toEqual([16n]);
    const { structure, ...trained } = trainedOn(backbone, network);
    const model = await mergedModel({ backbone, structure, ...trained });
    expect(model.opsetImport.map(({ version }) => version)).toEqual([17n]);
    for (const batch of [1, 3]) {
      const images = floatImages(structure, batch);
      const wanted = await inAppLogits(backbone, structure, trained, images);
      const { logits } = await runModel(model, { pixel_values: images });
      expect(logits!.dims).toEqual([batch, CLASSES]);
      const parity = compareLogits(wanted, logits!.data as Float32Array, CLASSES, MERGED_TOLERANCE);
      expect(parity).toMatchObject({ images: batch, holds: true, top1Changes: [] });
    }
    const images = floatImages(structure, 1);
    const wanted = await inAppLogits(backbone, structure, trained, images);
    const half = (await runModel(withHalfWeights(model), { pixel_values: images })).logits!.data as Float32Array;
    expect(compareLogits(wanted, half, CLASSES, HALF_TOLERANCE).holds).toBe(true);
  });
});

describe.skipIf(!python)("ONNX's own checker, with shape inference", () => {
  let folder: string;
  beforeAll(async () => (folder = await mkdtemp(join(tmpdir(), 'sidetune-onnx-'))));
  afterAll(() => rm(folder, { recursive: true }));

  const script = `
import sys, onnx
for path in sys.argv[1:]:
    try:
        onnx.checker.check_model(path, full_check=True)
    except Exception as error:
        sys.exit(f"{path}: {error}")
print(len(sys.argv) - 1)
`;

  async function check(models: Record<string, ModelProto>): Promise<void> {
    const paths: string[] = [];
    for (const [name, model] of Object.entries(models)) {
      const path = join(folder, `${name}.onnx`);
      await writeFile(path, encodeModel(model));
      paths.push(path);
    }
    const output = execFileSync(python!, ['-c', script, ...paths], { encoding: 'utf8', stdio: 'pipe' });
    expect(Number(output)).toBe(paths.length);
  }

  const backbones = { fused: writePlainVit(small('fused')), decomposed: writePlainVit(small('decomposed')) };

  it('would find fault: a node that reads nothing is refused', async () => {
    const model = decodeModel(backbones.fused);
    model.graph!.node[0]!.input[0] = 'nowhere';
    await expect(check({ broken: model })).rejects.toThrow(/nowhere/);
  });

  it('passes plain ViTs and their taps', async () => {
    const fused = decodeModel(backbones.fused);
    const structure = findBlocks(fused);
    const maps = [1, 2].map((index) => ({ kind: 'P' as const, group: 2, index }));
    await check({
      fused,
      decomposed: decodeModel(backbones.decomposed),
      tapped: addTaps(fused, structure, { maps: [...maps, { kind: 'S', index: 3 }], base: true }),
      tapped_with_logits: addTaps(fused, structure, { maps, base: false, keepLogits: true }),
    });
  });

  it.each(networkCases)('passes the training graphs of $name', async (network) => {
    for (const form of ['plain', 'low-rank'] as const) {
      const trained = trainedOn(decodeModel(backbones.fused), network, form);
      const placed = new ParameterLayout(trained.network.parameters);
      const { layout, scales } = trained;
      const shape = { batch: 4, layout, scales, rowSums: form === 'low-rank', dropPath: true };
      const gradient = await trace(gradientProgram(trained.network, placed, shape));
      const update = await trace(updateProgram(placed));
      const logits = await trace(logitsProgram(trained.network, placed, shape));
      await check({ gradient: gradient.model, update: update.model, logits: logits.model });
    }
  });

  it.each(networkCases)('passes the exports of $name', async (network) => {
    const models: Record<string, ModelProto> = {};
    for (const [name, bytes] of Object.entries(backbones)) {
      const backbone = decodeModel(bytes);
      const trained = trainedOn(backbone, network);
      const metadata = cardMetadata(someCard(), 'merged');
      models[`adaptor_${name}`] = await adaptorModel({ ...trained, metadata });
      models[`merged_${name}`] = await mergedModel({ backbone, ...trained, metadata });
      for (const form of ['adaptor', 'merged'])
        models[`${form}_${name}_half`] = withHalfWeights(models[`${form}_${name}`]!);
    }
    await check(models);
  });

  it.skipIf(!existsSync(vitTiny))('passes a merged ViT-Ti', async () => {
    const backbone = decodeModel(readFileSync(vitTiny));
    const merged = await mergedModel({ backbone, ...trainedOn(backbone, networkCases[1]!) });
    await check({ merged, half: withHalfWeights(merged) });
  });
});

function small(norm: 'fused' | 'decomposed') {
  return { size: 32, width: 24, blocks: 4, heads: 2, seed: 3, classes: 10, norm };
}

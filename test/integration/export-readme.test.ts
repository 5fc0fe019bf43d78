import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findBlocks, type VitStructure } from '../../src-main/backbone/find-blocks.ts';
import { writePlainVit } from '../../src-main/backbone/plain-vit.ts';
import { choosePreprocessing, type PreprocessingChoice } from '../../src-main/backbone/preprocessing.ts';
import type { MapStorage } from '../../src-main/backbone/surgery.ts';
import { startDecoder } from '../../src-main/data/decode/start-decoder.ts';
import { toOrt } from '../../src-main/engine/session.ts';
import { decodeModel, encodeModel } from '../../src-main/engine/onnx/model.ts';
import type { ModelProto } from '../../src-main/engine/onnx/onnx_pb.ts';
import { adaptorModel } from '../../src-main/export/adaptor.ts';
import type { Form } from '../../src-main/export/card-facts.ts';
import { FORMS, writeExport } from '../../src-main/export/files.ts';
import { withHalfWeights } from '../../src-main/export/half-weights.ts';
import { mergedModel } from '../../src-main/export/merged.ts';
import { normalizePixels } from '../../src-main/features/pixels.ts';
import { someCard } from '../unit/export/card.ts';
import { largestDifference, networkCases, randomParameters, someScales } from '../unit/export/networks.ts';
import { runModel } from '../unit/export/tapped.ts';

const python = [process.env.SIDETUNE_PYTHON, 'python3'].find(
  (command) => command && spawnSync(command, ['-c', 'import onnx, onnxruntime, numpy, PIL']).status === 0,
);
if (!python) console.warn("SKIPPED: no Python with 'onnx', 'onnxruntime', 'numpy' and 'PIL'; set SIDETUNE_PYTHON");

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'export-readme-'));
  // Where a reader has installed onnxruntime-node and sharp.
  await symlink(join(import.meta.dirname, '../../node_modules'), join(folder, 'node_modules'), 'junction');
});
afterAll(() => rm(folder, { recursive: true }));

interface Exported {
  structure: VitStructure;
  models: Record<Form, ModelProto>;
}

interface ExportChoice {
  network?: (typeof networkCases)[number];
  preprocessing?: PreprocessingChoice;
  batch?: number;
  storage?: MapStorage;
  half?: boolean;
  forms?: readonly Form[];
}

/** Writes an export of a random ViT and network into `folder`. */
async function exportTo(
  folder: string,
  { network: { build, pool } = networkCases[1]!, preprocessing, batch, storage, half, forms = FORMS }: ExportChoice,
): Promise<Exported> {
  const backbone = decodeModel(writePlainVit({ size: 32, width: 24, blocks: 4, heads: 2, seed: 3, batch }));
  const structure = findBlocks(backbone);
  const { tokens, width, prefix, finalNorm } = structure;
  const layout = { tokens, width, prefix };
  const norm = { scale: finalNorm.scale, shift: finalNorm.bias, epsilon: finalNorm.epsilon };
  const network = build(layout, structure.blocks, norm);
  const trained = { network, pool, layout, parameters: randomParameters(network), scales: someScales(network) };
  const whole = {
    adaptor: await adaptorModel(trained),
    merged: await mergedModel({ backbone, structure, storage, ...trained }),
  };
  const models = half ? { adaptor: withHalfWeights(whole.adaptor), merged: withHalfWeights(whole.merged) } : whole;
  const { settings } = someCard();
  const card = someCard({
    ...{ layout, maps: network.maps, usesBase: network.usesBase, scales: trained.scales },
    settings: { ...settings, pool },
    backbone: { name: 'tiny', sha256: 'ab'.repeat(32), batch: structure.input.batch },
    preprocessing: choosePreprocessing(structure, preprocessing),
  });
  await rm(join(folder, 'merged.onnx'), { force: true });
  await writeExport(folder, Object.fromEntries(forms.map((form) => [form, encodeModel(models[form])])), card);
  return { structure, models };
}

/** The README's blocks of a language, as they are printed. */
async function blocksOf(language: 'python' | 'js'): Promise<string[]> {
  const readme = await readFile(join(folder, 'README.md'), 'utf8');
  return [...readme.matchAll(new RegExp(`\`\`\`${language}\n(.*?)\`\`\``, 'gs'))].map(([, block]) => block!);
}

/** Runs a program in the export's folder; what it prints, and its logits. */
async function runBlock(language: 'python' | 'js', code: string): Promise<{ label: string; logits: number[] }> {
  const file = language === 'python' ? 'example.py' : 'example.mjs';
  const print =
    language === 'python'
      ? 'import json; print(json.dumps(logits.flatten().tolist()))'
      : 'console.log(JSON.stringify([...logits.data]));';
  await writeFile(join(folder, file), `${code}\n${print}\n`);
  const command = language === 'python' ? python! : process.execPath;
  const output = execFileSync(command, [file], { cwd: folder, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  const [label, logits, ...rest] = output.trimEnd().split('\n');
  expect(rest).toEqual([]);
  return { label: label!, logits: JSON.parse(logits!) as number[] };
}

const labelOf = (logits: ArrayLike<number>): string => {
  const row = Array.from(logits).slice(0, someCard().classes.length);
  return someCard().classes[row.indexOf(Math.max(...row))]!.replace('\n', ' ');
};

const languages = (['python', 'js'] as const).map((language) => ({
  language,
  absent: language === 'python' && !python,
}));

const mergedChoices: ExportChoice[] = [
  { preprocessing: { mean: [0.4, 0.5, 0.6], std: [0.2, 0.3, 0.4] } },
  { preprocessing: { fit: 'crop', cropPct: 0.875, interpolation: 'bilinear' } },
  { batch: 2 },
];

describe.each(languages)("the README's $language", ({ language, absent }) => {
  it.skipIf(absent).each(mergedChoices)('gives from a file what the app gives: %o', async (choice) => {
    const { structure, models } = await exportTo(folder, choice);
    const preprocessing = choosePreprocessing(structure, choice.preprocessing);
    const batch = choice.batch ?? 1;
    const [code] = await blocksOf(language);
    const path = join(folder, 'photo.jpg');
    const decoder = await startDecoder({ concurrency: 1 });
    const seen = new Set<string>();
    for (const encoded of [await turnedPhotograph(), await transparentPicture()]) {
      await writeFile(path, encoded);
      const pixels = new Float32Array(batch * 3 * 32 * 32);
      const rgb = await decoder.decode({ path }, preprocessing);
      for (let image = 0; image < batch; image++) normalizePixels(rgb, preprocessing, pixels, image * 3 * 32 * 32);
      const feeds = { pixel_values: toOrt({ shape: [batch, 3, 32, 32], storage: 'float32' }, pixels) };
      const wanted = (await runModel(models.merged, feeds)).logits!.data as Float32Array;
      const { label, logits } = await runBlock(language, code!);
      const spread = Math.max(...wanted) - Math.min(...wanted);
      // Two JPEG decoders and two resizers, each within a level or two of the other.
      expect(largestDifference(logits, wanted)).toBeLessThan(0.02 * spread);
      expect(label).toBe(labelOf(wanted));
      seen.add(logits.join());
    }
    expect(seen.size).toBe(2);
    await decoder.close();
  });

  const methods = networkCases.filter(({ pool }) => pool === 'cls');
  it.skipIf(absent).each(methods)("runs the adaptor alone, on zeros for the ViT's features: $name", async (network) => {
    const { structure, models } = await exportTo(folder, { network, forms: ['adaptor'] });
    const [code, ...others] = await blocksOf(language);
    expect(others).toEqual([]);
    const { tokens, width } = structure;
    const features = { shape: [1, someMaps(network, structure), tokens, width], storage: 'float16' } as const;
    const base = { shape: [1, width], storage: 'float32' } as const;
    const feeds = {
      features: toOrt(features, new Uint16Array(features.shape[1] * tokens * width)),
      base: toOrt(base, new Float32Array(width)),
    };
    const inputs = models.adaptor.graph!.input.map(({ name }) => name as keyof typeof feeds);
    const { logits } = await runModel(models.adaptor, Object.fromEntries(inputs.map((name) => [name, feeds[name]])));
    const wanted = logits!.data as Float32Array;
    const found = await runBlock(language, code!);
    expect(largestDifference(found.logits, wanted)).toBeLessThan(1e-4);
    expect(found.label).toBe(labelOf(wanted));
  });
});

const cuts: ExportChoice[] = [
  ...networkCases.map((network) => ({ network })),
  { storage: 'int8' },
  { half: true },
  { batch: 2 },
];

describe.skipIf(!python)("the ViT's half, cut out of the merged model by the README's Python", () => {
  it.each(cuts)('gives the adaptor what it reads: %o', async (choice) => {
    const { models } = await exportTo(folder, choice);
    await writeFile(join(folder, 'photo.jpg'), await turnedPhotograph());
    const [merged, adaptor, cut, ...others] = await blocksOf('python');
    expect(others).toEqual([]);
    const inputs = models.adaptor.graph!.input.map(({ name }) => `"${name}": ${name}`).join(', ');
    // The adaptor's own program, but for its zeros.
    const last = adaptor!.split('\n').find((line) => line.startsWith('logits = '))!;
    expect(last).toContain(`{${inputs}}`);
    const code = `${merged}\nwhole = logits\n${cut}\n${last}\nassert np.abs(logits - whole).max() < 1e-4, (logits, whole)`;
    const { logits } = await runBlock('python', code);
    expect(logits).toHaveLength((choice.batch ?? 1) * someCard().classes.length);
  });
});

function someMaps({ build }: (typeof networkCases)[number], structure: VitStructure): number {
  const { tokens, width, prefix, finalNorm, blocks } = structure;
  const norm = { scale: finalNorm.scale, shift: finalNorm.bias, epsilon: finalNorm.epsilon };
  return build({ tokens, width, prefix }, blocks, norm).maps.length;
}

/** A JPEG that its EXIF says is to be turned by a quarter. */
function turnedPhotograph(): Promise<Buffer> {
  const size = { width: 90, height: 61 };
  return sharp(waves(size, 3), { raw: { ...size, channels: 3 } })
    .jpeg({ quality: 95, chromaSubsampling: '4:4:4' })
    .withMetadata({ orientation: 6 })
    .toBuffer();
}

/** A PNG whose alpha comes and goes. */
function transparentPicture(): Promise<Buffer> {
  const size = { width: 50, height: 83 };
  return sharp(waves(size, 4), { raw: { ...size, channels: 4 } })
    .png()
    .toBuffer();
}

/** Waves of colour, no two rows or columns alike. */
function waves({ width, height }: { width: number; height: number }, channels: number): Uint8Array {
  return Uint8Array.from({ length: width * height * channels }, (_, i) => {
    const [x, y, c] = [Math.floor(i / channels) % width, Math.floor(i / channels / width), i % channels];
    return 127 + 100 * Math.sin(x / (9 + 3 * c)) * Math.cos(y / (14 - 2 * c));
  });
}

import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findBlocks } from '../../src-main/backbone/find-blocks.ts';
import { writePlainVit } from '../../src-main/backbone/plain-vit.ts';
import { choosePreprocessing, type PreprocessingChoice } from '../../src-main/backbone/preprocessing.ts';
import { startDecoder } from '../../src-main/data/decode/start-decoder.ts';
import { toOrt } from '../../src-main/engine/session.ts';
import { decodeModel, encodeModel } from '../../src-main/engine/onnx/model.ts';
import { writeExport } from '../../src-main/export/files.ts';
import { mergedModel } from '../../src-main/export/merged.ts';
import { normalizePixels } from '../../src-main/features/pixels.ts';
import { someCard } from '../unit/export/card.ts';
import { largestDifference, networkCases, randomParameters, someScales } from '../unit/export/networks.ts';
import { runModel } from '../unit/export/tapped.ts';

const python = [process.env.SIDETUNE_PYTHON, 'python3'].find(
  (command) => command && spawnSync(command, ['-c', 'import onnxruntime, numpy, PIL']).status === 0,
);
if (!python) console.warn("SKIPPED: no Python with 'onnxruntime', 'numpy' and 'PIL'; set SIDETUNE_PYTHON");

const choices: PreprocessingChoice[] = [
  { mean: [0.4, 0.5, 0.6], std: [0.2, 0.3, 0.4] },
  { fit: 'crop', cropPct: 0.875, interpolation: 'bilinear' },
];
const pictures = [
  { width: 90, height: 61 },
  { width: 50, height: 83 },
];

describe.skipIf(!python)("the Python of an export's README", () => {
  let folder: string;
  beforeAll(async () => (folder = await mkdtemp(join(tmpdir(), 'export-readme-'))));
  afterAll(() => rm(folder, { recursive: true }));

  it.each(choices)('gives the logits that the app gives: %o', async (choice) => {
    const backbone = decodeModel(writePlainVit({ size: 32, width: 24, blocks: 4, heads: 2, seed: 3 }));
    const structure = findBlocks(backbone);
    const preprocessing = choosePreprocessing(structure, choice);
    const { build, pool } = networkCases[1]!;
    const { tokens, width, prefix, finalNorm } = structure;
    const norm = { scale: finalNorm.scale, shift: finalNorm.bias, epsilon: finalNorm.epsilon };
    const network = build({ tokens, width, prefix }, structure.blocks, norm);
    const trained = { network, pool, parameters: randomParameters(network), scales: someScales(network) };
    const model = await mergedModel({ backbone, structure, ...trained });
    await writeExport(folder, { merged: encodeModel(model) }, someCard({ preprocessing }));
    const readme = await readFile(join(folder, 'README.md'), 'utf8');
    const code = [...readme.matchAll(/```python\n(.*?)```/gs)].map(([, block]) => block).join('');
    const script = `${code}\nimport json; print(json.dumps(logits.tolist()))`;

    const decoder = await startDecoder({ concurrency: 1 });
    for (const size of pictures) {
      const photo = join(folder, 'photo.jpg');
      await sharp(gradient(size), { raw: { ...size, channels: 3 } })
        .jpeg({ quality: 95, chromaSubsampling: '4:4:4' })
        .toFile(photo);
      const pixels = new Float32Array(3 * 32 * 32);
      normalizePixels(await decoder.decode({ path: photo }, preprocessing), preprocessing, pixels, 0);
      const { logits } = await runModel(model, {
        pixel_values: toOrt({ shape: [1, 3, 32, 32], storage: 'float32' }, pixels),
      });
      const wanted = logits!.data as Float32Array;
      const lines = execFileSync(python!, ['-c', script], { cwd: folder, encoding: 'utf8' }).trim().split('\n');
      const [found] = JSON.parse(lines.at(-1)!) as [number[]];
      const spread = Math.max(...wanted) - Math.min(...wanted);
      // Two JPEG decoders and two resizers, each within a level or two of the other.
      expect(largestDifference(found, wanted)).toBeLessThan(0.02 * spread);
      expect(lines.at(-2)).toContain(someCard().classes[wanted.indexOf(Math.max(...wanted))]!.replace('\n', ' '));
    }
    await decoder.close();
  });
});

/** Waves of colour, no two rows or columns alike. */
function gradient({ width, height }: { width: number; height: number }): Uint8Array {
  return Uint8Array.from({ length: width * height * 3 }, (_, i) => {
    const [x, y, c] = [Math.floor(i / 3) % width, Math.floor(i / 3 / width), i % 3];
    return 127 + 100 * Math.sin(x / (9 + 3 * c)) * Math.cos(y / (14 - 2 * c));
  });
}

import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Failure } from '../../../src-main/base/failure.ts';
import { cardMetadata, cardText } from '../../../src-main/export/card.ts';
import { prepareFolder, writeExport } from '../../../src-main/export/files.ts';
import { someCard } from './card.ts';

const adaptor = Uint8Array.of(1, 2, 3);
const merged = Uint8Array.of(4, 5);

describe('the files of an export', () => {
  let folder: string;
  beforeEach(async () => (folder = await mkdtemp(join(tmpdir(), 'sidetune-export-'))));
  afterEach(() => rm(folder, { recursive: true }));

  it('are the models, labels, preprocessing and card, and nothing else', async () => {
    const out = join(folder, 'deep/er');
    const files = await writeExport(out, { adaptor, merged }, someCard());
    const names = ['adaptor.onnx', 'merged.onnx', 'labels.txt', 'preprocessing.json', 'README.md'];
    expect(files).toEqual(names.map((name) => join(out, name)));
    expect((await readdir(out)).sort()).toEqual(names.sort());
    expect(new Uint8Array(await readFile(join(out, 'merged.onnx')))).toEqual(merged);
    expect(await readFile(join(out, 'labels.txt'), 'utf8')).toBe('circle\na "b", c\ntwo lines\ngröße\nx\n');
    expect(JSON.parse(await readFile(join(out, 'preprocessing.json'), 'utf8'))).toEqual(someCard().preprocessing);
  });

  it('are one model where one form is asked for, and a second export replaces the first', async () => {
    await writeExport(folder, { adaptor }, someCard());
    await writeExport(folder, { adaptor: merged }, someCard({ classes: ['a', 'b'] }));
    expect(await readdir(folder)).not.toContain('merged.onnx');
    expect(new Uint8Array(await readFile(join(folder, 'adaptor.onnx')))).toEqual(merged);
    expect(await readFile(join(folder, 'labels.txt'), 'utf8')).toBe('a\nb\n');
  });

  it('have no card while they are not all in place, and can be written again', async () => {
    await writeExport(folder, { adaptor, merged }, someCard());
    // A folder with something in it cannot be replaced by a model: the writing ends half-way.
    await rm(join(folder, 'merged.onnx'));
    await mkdir(join(folder, 'merged.onnx', 'in the way'), { recursive: true });
    await expect(writeExport(folder, { adaptor: merged, merged }, someCard({ classes: ['a'] }))).rejects.toThrow();
    expect((await readdir(folder)).sort()).toEqual(['adaptor.onnx', 'merged.onnx']);
    await rm(join(folder, 'merged.onnx'), { recursive: true });
    await writeExport(folder, { adaptor, merged }, someCard({ classes: ['a', 'b'] }));
    expect(await readFile(join(folder, 'labels.txt'), 'utf8')).toBe('a\nb\n');
    expect(await readdir(folder)).toHaveLength(5);
  });

  it('never lie beside a model of another export', async () => {
    await writeExport(folder, { adaptor, merged }, someCard());
    await expect(writeExport(folder, { adaptor }, someCard({ classes: ['a'] }))).rejects.toThrow(
      /merged\.onnx of an earlier export/,
    );
    expect(await readFile(join(folder, 'labels.txt'), 'utf8')).toContain('circle');
  });

  it("take the place of another run's only where that is meant, and of one that was cut off", async () => {
    const other = someCard({ run: 'last_other-1' });
    await writeExport(folder, { adaptor }, other);
    await expect(writeExport(folder, { adaptor: merged }, someCard())).rejects.toThrow(
      /holds the export of run last_other-1: .*--force/,
    );
    expect(new Uint8Array(await readFile(join(folder, 'adaptor.onnx')))).toEqual(adaptor);
    await writeExport(folder, { adaptor: merged }, someCard(), {}, true);
    expect(new Uint8Array(await readFile(join(folder, 'adaptor.onnx')))).toEqual(merged);
    await rm(join(folder, 'README.md'));
    await writeExport(folder, { adaptor }, other);
    await writeFile(join(folder, 'README.md'), 'my own words');
    await expect(writeExport(folder, { adaptor }, other)).rejects.toMatchObject({ code: 'other-export' });
  });

  it('cannot go where a file is', async () => {
    const path = join(folder, 'file');
    await writeFile(path, '');
    await expect(writeExport(path, { adaptor }, someCard())).rejects.toThrow(Failure);
  });
});

describe('the card', () => {
  it('says shapes, scores, preprocessing and licence', () => {
    const text = cardText(someCard(), ['adaptor', 'merged'], {});
    for (const phrase of [
      '[batch, 4, 17, 24]',
      '[batch, 24]',
      '[batch, 3, 32, 32]',
      '[batch, 5]',
      'those of epoch 13, the best on validation of the 30 asked for',
      '91.25 %',
      'not measured',
      'rank 3',
      '[0.5, 0.4, 0.3]',
      '[0.5, 0.25, 0.2]',
      'keeps its own licence',
      'ab'.repeat(32),
      'scale (1, 1, 2, 2) and rounded to half precision; the model',
      'zeros stand in place of',
    ])
      expect(text.replaceAll('\n', ' ')).toContain(phrase);
  });

  it('says that training stopped early where it did', () => {
    expect(cardText(someCard(), ['adaptor'], {})).not.toContain('stopped early');
    expect(cardText(someCard({ epochsDone: 14 }), ['adaptor'], {})).toContain(
      'Training stopped early, after epoch 14 of the 30 asked for',
    );
  });

  it('says how far the models are from the app, and what is allowed', () => {
    const parity = { images: 64, maxAbsLogit: 0.00123, top1Changes: 1, bound: 0.05, changed: [] };
    const plain = cardText(someCard(), ['adaptor', 'merged'], { adaptor: parity, merged: parity });
    expect(plain).toContain('| adaptor.onnx | 64 | 0.0012 | 0.050 (0.0001) | 1 |');
    expect(plain).toContain('| merged.onnx | 64 | 0.0012 | 0.050 (0.001 of the largest logit) | 1 |');
    expect(plain).not.toContain('float16 and cast');
    const half = cardText(someCard({ half: true }), ['adaptor'], { adaptor: parity });
    expect(half).toContain('| adaptor.onnx | 64 | 0.0012 | 0.050 (0.01 of the largest logit) | 1 |');
    expect(half).toContain('Matrices are kept as float16');
  });

  it('speaks of the models that are there, and of the inputs that they have', () => {
    expect(cardText(someCard(), ['adaptor'], {})).not.toMatch(/merged\.onnx|vit\.onnx/);
    expect(cardText(someCard(), ['merged'], {})).not.toContain('`features`');
    const { settings } = someCard();
    const probe = someCard({ maps: [], scales: [], parameters: 0, settings: { ...settings, method: 'linear' } });
    const linear = cardText(probe, ['adaptor'], {});
    expect(linear).not.toContain('features`');
    expect(linear).toContain('nothing was trained but the\n85 parameters of the head.');
    expect(linear).toContain('## adaptor.onnx: the head alone');
    expect(linear).toContain('{"base": base}');
    const int8 = cardText(someCard({ settings: { ...settings, cache: 'int8' } }), ['adaptor'], {});
    expect(int8).toContain('half precision, each row to 255 multiples of a step before;');
    const miet = cardText(someCard({ maps: [{ kind: 'S', index: 3 }], scales: [1], usesBase: false }), ['adaptor'], {});
    expect(miet).toContain('S_3 = z_0 + z_1 + ... + z_3');
    expect(miet).not.toContain('`base`');
  });

  it('says what a backbone of a fixed batch takes', () => {
    const { backbone } = someCard();
    expect(cardText(someCard({ backbone: { ...backbone, batch: 8 } }), ['merged'], {})).toContain('[8, 3, 32, 32]');
  });

  it('keeps awkward names out of its markup', () => {
    expect(cardText(someCard({ dataset: 'a\n# b|c' }), ['merged'], {})).toContain('# a # b\\|c: image classifier');
  });

  it('puts labels, preprocessing and provenance into metadata as JSON', () => {
    const metadata = cardMetadata(someCard(), 'merged');
    expect(JSON.parse(metadata.labels!)).toEqual(someCard().classes);
    expect(JSON.parse(metadata.preprocessing!)).toEqual(someCard().preprocessing);
    expect(metadata.precision).toBe('float32');
    expect(JSON.parse(metadata.tolerance!)).toEqual({ ofLargestLogit: 1e-3 });
    const half = cardMetadata(someCard({ half: true }), 'adaptor');
    expect(half.precision).toBe('float16 weights, float32 arithmetic');
    expect(JSON.parse(half.tolerance!)).toEqual({ ofLargestLogit: 1e-2 });
    expect(JSON.parse(metadata.provenance!)).toMatchObject({
      run: someCard().run,
      dataset: 'shapes',
      backboneSha256: 'ab'.repeat(32),
    });
  });
});

it("refuses a folder with somebody else's README, and leaves it as it was", async () => {
  const foreign = await mkdtemp(join(tmpdir(), 'foreign-'));
  await writeFile(join(foreign, 'README.md'), 'precious');
  await expect(prepareFolder(foreign, ['adaptor', 'merged'], { run: 'any', force: true })).rejects.toThrow(
    'has a README.md that is not from an export',
  );
  expect(await readFile(join(foreign, 'README.md'), 'utf8')).toBe('precious');
  await rm(foreign, { recursive: true });
});

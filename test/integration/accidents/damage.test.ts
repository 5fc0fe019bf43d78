/** Files of a workspace with a flipped byte, or cut short: found, named, and never believed. */
import { existsSync, readdirSync } from 'node:fs';
import { copyFile, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { basename, dirname, join, relative } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadBackbone, readModel } from '../../../src-main/backbone/catalogue.ts';
import { Failure } from '../../../src-main/base/failure.ts';
import { loadDataset } from '../../../src-main/data/dataset-store.ts';
import { RowFileReader } from '../../../src-main/features/row-file.ts';
import { showRun } from '../../../src-main/studio/runs.ts';
import { readCheckpoint } from '../../../src-main/training/checkpoint.ts';
import { openRun } from '../../../src-main/training/open-run.ts';
import { readConfig, readResult, resultSchema } from '../../../src-main/training/run-folder.ts';
import type { RunResult } from '../../../src-main/training/run-folder.ts';
import { Workspace } from '../../../src-main/workspace/workspace.ts';
import { Scene, traceOf, until } from './scene.ts';

let scene: Scene;
let workspace: Workspace;
let whole: RunResult;
beforeAll(async () => {
  scene = await Scene.set();
  whole = await scene.train('whole');
  await scene.copy('whole', 'harmed');
  workspace = await Workspace.open(scene.path('harmed'));
});
afterAll(() => scene.clear());

/** Reads all that a file says, as the command does. */
type Read = (path: string) => Promise<unknown>;

const featureRows: Read = async (path) => {
  const file = await RowFileReader.open(path);
  try {
    const columns = file.metadata.columns!.split(' ');
    const rows: Buffer[] = [];
    for (const name of columns)
      for (let row = 0; row < file.rows; row++) {
        const bytes = Buffer.alloc(file.rowBytes(name));
        await file.read(name, row, bytes);
        rows.push(bytes);
      }
    return [file.metadata, rows];
  } finally {
    await file.close();
  }
};

const backbone: Read = async () => {
  const loaded = await loadBackbone(workspace, 'vit');
  return [loaded, (await readModel(loaded)).graph?.node.length];
};

const files: [file: string, read: Read][] = [
  ['config.json', () => readConfig(workspace, whole.run)],
  ['result.json', () => readResult(workspace, whole.run)],
  ['metrics.jsonl', async () => (await showRun(workspace, whole.run)).epochs],
  ['best.safetensors', async () => (await openRun(workspace, whole.run)).parameters],
  ['checkpoint.safetensors', async (path) => readCheckpoint(path, (await openRun(workspace, whole.run)).layout)],
  ['dataset.json', () => loadDataset(workspace, 'hearts')],
  ['images', () => loadDataset(workspace, 'hearts')],
  ['backbone.json', backbone],
  ['final_norm.safetensors', backbone],
  ['model.onnx', backbone],
  ['base.safetensors', featureRows],
  ['P1_2.safetensors', featureRows],
];

/** Where a file lies in the workspace; `images` is a list with a hash in its name. */
function find(file: string, root = scene.path('harmed')): string {
  const [found] = readdirSync(root, { recursive: true, encoding: 'utf8' })
    .sort()
    .filter((path) => basename(path) === file || (file === 'images' && /images-\w+\.jsonl$/.test(path)));
  return join(root, found!);
}

/** Numbers from 0 up to `size`: all of the first few, where headers are, then even steps. */
function places(size: number, first: number, steps: number): number[] {
  const all = Array.from({ length: Math.min(first, size) }, (_, index) => index);
  for (let step = 0; step < steps; step++) all.push(Math.floor((size * step) / steps));
  return [...new Set(all)];
}

describe.each(files)('%s', (file, read) => {
  async function expectFound(path: string, expected: unknown, how: string): Promise<void> {
    try {
      // What is read in spite of the damage must be what was written.
      expect(await read(path), how).toEqual(expected);
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      expect(error.code, how).toMatch(/^damaged-|^backbone-not-onnx$/);
      expect(error.message, how).toContain(basename(path));
      expect(error.message, how).toMatch(/^[^\n]+[:;] [^\n]+\.$/);
    }
  }

  it('with a flipped byte, or cut, is found damaged or says what was written', async () => {
    const path = find(file);
    const bytes = await readFile(path);
    const expected = await read(path);
    const large = bytes.length > 100_000;
    for (const place of places(bytes.length, large ? 4 : 12, large ? 4 : 10)) {
      const harmed = Buffer.from(bytes);
      harmed[place]! ^= 1;
      await writeFile(path, harmed);
      await expectFound(path, expected, `${file}, byte ${place}`);
    }
    for (const size of places(bytes.length, 4, large ? 3 : 8)) {
      await writeFile(path, bytes.subarray(0, size));
      await expectFound(path, expected, `${file} cut to ${size} bytes`);
    }
    await writeFile(path, bytes);
    expect(await read(path)).toEqual(expected);
  });
});

describe('the command', () => {
  const forExport = () => ['export', whole.run, '--out', scene.path('out')];
  const forResume = () => ['train', '--resume', whole.run];
  it.each<[file: string, args: () => string[], code: string, advice: RegExp]>([
    ['config.json', () => ['runs', 'show', whole.run], 'damaged-file', /remove the run with "sidetune runs remove/],
    ['result.json', () => ['runs', 'show', whole.run], 'damaged-file', /delete it, and "sidetune train --resume/],
    ['metrics.jsonl', () => ['runs', 'show', whole.run], 'damaged-file', /put the file back/],
    ['best.safetensors', forExport, 'damaged-file', /put it back from a copy, or train again/],
    ['checkpoint.safetensors', forResume, 'damaged-file', /delete ".*checkpoint.*", and the run starts over/],
    ['dataset.json', () => ['datasets', 'show', 'hearts'], 'damaged-file', /remove the dataset "hearts" and add it/],
    ['images', () => ['datasets', 'show', 'hearts'], 'damaged-file', /remove the dataset "hearts" and add it again/],
    ['backbone.json', () => scene.trainArgs(), 'damaged-file', /remove the backbone's folder and add it again/],
    ['final_norm.safetensors', () => scene.trainArgs(), 'damaged-file', /remove the backbone's folder/],
    ['model.onnx', forExport, 'damaged-file', /remove its folder and add it again/],
  ])('says of a damaged %s which file it is and what to do', async (file, args, code, advice) => {
    const path = find(file);
    const copy = scene.path('copy');
    await copyFile(path, copy);
    const bytes = await readFile(path);
    bytes[Math.floor(bytes.length / 2)]! ^= 1;
    await writeFile(path, bytes);
    const result = join(workspace.run(whole.run), 'result.json');
    // A run without a result is one that goes on.
    const keptResult = file === 'checkpoint.safetensors' ? await readFile(result) : undefined;
    if (keptResult) await rm(result);
    try {
      const error = await scene.fail('harmed', args());
      expect(error.code).toBe(code);
      expect(error.message).toContain(path);
      expect(error.message).toMatch(advice);
    } finally {
      await copyFile(copy, path);
      if (keptResult) await writeFile(result, keptResult);
    }
  });
});

describe('a damaged feature file', () => {
  const flipMiddle = async (path: string) => {
    const bytes = await readFile(path);
    bytes[Math.floor(bytes.length / 2)]! ^= 1;
    await writeFile(path, bytes);
  };
  /** All feature files of this name, those of each split. */
  const featureFiles = (name: string) =>
    readdirSync(scene.path('mended'), { recursive: true, encoding: 'utf8' })
      .filter((path) => basename(path) === name)
      .map((path) => join(scene.path('mended'), path));

  it.each<[what: string, args: () => string[], file: string, harm: (path: string) => Promise<void>]>([
    ['training, in its rows', () => scene.trainArgs(), 'P1_2.safetensors', flipMiddle],
    ['training, in its header', () => scene.trainArgs(), 'base.safetensors', (path) => truncate(path, 9000)],
    ['an evaluation', () => ['evaluate', whole.run, '--threads', '1'], 'P1_2.safetensors', flipMiddle],
    ['an export', () => ['export', whole.run, '--out', scene.path('exported')], 'P1_1.safetensors', flipMiddle],
  ])(
    'that %s finds is deleted and extracted again to the same bytes, which stderr says',
    async (_, args, file, harm) => {
      await scene.copy('whole', 'mended');
      const before = await traceOf(join(scene.path('mended'), 'features'));
      for (const path of featureFiles(file)) await harm(path);
      const harmed = await traceOf(join(scene.path('mended'), 'features'));
      expect(harmed).not.toEqual(before);
      const { json, stderr } = await scene.succeed('mended', args());
      const mended = featureFiles(file).filter((path) => stderr.includes(`The feature file "${path}" was damaged`));
      expect(mended.length).toBeGreaterThan(0);
      for (const path of mended) {
        const name = relative(join(scene.path('mended'), 'features'), path);
        expect(harmed[name] === before[name], name).toBe(false);
        expect((await traceOf(dirname(path)))[file] === before[name], name).toBe(true);
      }
      const result = resultSchema.safeParse(json);
      if (result.success) {
        // The run that was begun went on: there is one more, not two.
        expect(scene.runs('mended')).toHaveLength(2);
        const { loss, val, test } = result.data;
        expect({ loss, val, test }).toEqual({ loss: whole.loss, val: whole.val, test: whole.test });
      } else expect(args()[0]).not.toBe('train');
      await rm(scene.path('mended'), { recursive: true });
    },
  );
});

describe('doing as the sentence says', () => {
  it.each(['best.safetensors', 'metrics.jsonl'])(
    'of a damaged %s deletes the checkpoint, and the run starts over to the same numbers',
    async (file) => {
      const name = `over-${file}`;
      await scene.copy('whole', name, 'runs');
      await scene.run(name, scene.trainArgs(), {
        onStart: (child) => void until(() => scene.epochsDone(name) >= 5).then(() => child.kill('SIGKILL')),
      });
      const [run] = scene.runs(name);
      const path = scene.runFile(name, file);
      await truncate(path, 300);
      const { message } = await scene.fail(name, ['train', '--resume', run!]);
      expect(message).toContain(path);
      const doomed = /delete "([^"]+)"/.exec(message)![1]!;
      expect(existsSync(doomed)).toBe(true);
      await rm(doomed);
      const resumed = await scene.resume(name, run!);
      expect(resumed.test).toEqual(whole.test);
      const trace = await traceOf(join(scene.path(name), 'runs', run!));
      const reference = await traceOf(join(scene.path('whole'), 'runs', whole.run));
      expect(trace['best.safetensors']).toBe(reference['best.safetensors']);
      expect(trace['metrics.jsonl']).toBe(reference['metrics.jsonl']);
    },
  );

  it('deletes a damaged result, which is then written anew', async () => {
    await scene.copy('whole', 'result-again');
    await writeFile(scene.runFile('result-again', 'result.json'), '{');
    await scene.fail('result-again', ['runs', 'show', whole.run]);
    await rm(scene.runFile('result-again', 'result.json'));
    const { test, val, loss } = await scene.resume('result-again', whole.run);
    expect({ test, val, loss }).toEqual({ test: whole.test, val: whole.val, loss: whole.loss });
  });
});

/** The main job through the real command, on real files: trained, repeated, evaluated, on every engine and form. */
import { execFileSync } from 'node:child_process';
import { open, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { resultSchema, type RunResult } from '../../src-main/training/run-folder.ts';
import { readSafetensors, readSafetensorsHeader } from '../../src-main/workspace/safetensors.ts';
import { runCli } from './cli/run-cli.ts';
import { epochsOf, hashOf, Stage } from './stage.ts';

/** The workspace of what needs none of its own: the first to use it extracts for all. */
const READY = 'repeat-last';

let stage: Stage;
beforeAll(async () => {
  stage = await Stage.set();
});
afterAll(() => stage.clear());

describe.each(['linear', 'miet', 'last'] as const)('%s', (method) => {
  it('is trained, kept on disk, evaluated and repeated bit for bit', async () => {
    const first = await stage.train(
      `repeat-${method}`,
      '--method',
      method,
      '--epochs',
      '4',
      '--drop-path',
      method === 'linear' ? '0' : '0.1',
    );
    expect(first.method).toBe(method);
    expect(first.seconds.extract).toBeGreaterThan(0);
    expect(first.seconds.total).toBeGreaterThan(first.seconds.train);
    expect(first.peakRssBytes.trainer).toBeGreaterThan(50e6);
    expect(first.peakRssBytes.vit).toBeGreaterThan(50e6);
    const files = stage.runFolder(`repeat-${method}`, first.run);
    const epochs = await epochsOf(join(files, 'metrics.jsonl'));
    expect(epochs.map(({ epoch }) => epoch)).toEqual([1, 2, 3, 4]);
    expect(epochs.at(-1)!.loss).toBe(first.loss);
    const best = epochs.reduce((winner, line) => (line.val!.top1 > winner.val!.top1 ? line : winner));
    expect(first.val!.top1).toBe(best.val!.top1);

    const { tensors } = await readSafetensors(join(files, 'best.safetensors'));
    const elements = [...tensors.entries()].map(([name, { shape }]) => ({
      head: name.startsWith('head.'),
      size: shape.reduce((a, b) => a * b, 1),
    }));
    const total = (head: boolean) =>
      elements.filter((each) => each.head === head).reduce((sum, { size }) => sum + size, 0);
    expect(total(false)).toBe(first.parameters);
    expect(total(true)).toBe(first.headParameters);

    const again = await stage.train(
      `repeat-${method}`,
      '--method',
      method,
      '--epochs',
      '4',
      '--drop-path',
      method === 'linear' ? '0' : '0.1',
    );
    expect(again.seconds.extract).toBe(0);
    expect(again.peakRssBytes.vit).toBeNull();
    expect(await hashOf(join(stage.runFolder(`repeat-${method}`, again.run), 'best.safetensors'))).toBe(
      await hashOf(join(files, 'best.safetensors')),
    );
    expect(await epochsOf(join(stage.runFolder(`repeat-${method}`, again.run), 'metrics.jsonl'))).toEqual(epochs);

    const evaluated = await runCli([
      'evaluate',
      first.run,
      '--json',
      '--workspace',
      join(stage.folder, `repeat-${method}`),
    ]);
    expect(evaluated.code, evaluated.stderr).toBe(0);
    const evaluation = z
      .object({ split: z.string(), top1: z.number(), macro: z.number(), confusion: z.array(z.array(z.number())) })
      .parse(evaluated.json);
    expect(evaluation.split).toBe('test');
    expect(evaluation.top1).toBe(first.test!.top1);
    expect(evaluation.macro).toBeCloseTo(first.test!.macro, 12);
    expect(evaluation.confusion.flat().reduce((sum, count) => sum + count, 0)).toBe(64);
  });
});

it('predicts what it evaluates, and says which image it cannot read', async () => {
  const { run } = await stage.train(READY, '--method', 'last', '--epochs', '3', '--lr', '3e-3');
  const lines = (await readFile(join(stage.dataset, 'test.txt'), 'utf8')).trimEnd().split('\n');
  const images = lines.map((line) => join(stage.dataset, line.slice(0, line.lastIndexOf(' '))));
  const labels = lines.map((line) => Number(line.slice(line.lastIndexOf(' ') + 1)));
  const evaluated = await runCli(['evaluate', run, '--json', '--workspace', stage.workspace(READY)]);
  const predicted = await runCli(['predict', run, ...images, '--json', '--workspace', stage.workspace(READY)]);
  expect(predicted.code, predicted.stderr).toBe(0);
  const { predictions } = z
    .object({
      predictions: z.array(
        z.object({
          image: z.string(),
          index: z.number(),
          label: z.string(),
          top: z.array(z.object({ probability: z.number() })),
        }),
      ),
    })
    .parse(predicted.json);
  expect(predictions.map(({ image }) => image)).toEqual(images);
  const right = predictions.filter(({ index }, place) => index === labels[place]).length;
  expect(right / images.length).toBeCloseTo(z.object({ top1: z.number() }).parse(evaluated.json).top1, 6);

  const broken = join(stage.folder, 'broken.png');
  await writeFile(broken, 'not a picture');
  const mixed = await runCli(['predict', run, images[0]!, broken, '--json', '--workspace', stage.workspace(READY)]);
  expect(mixed.code).toBe(1);
  expect(mixed.json).toMatchObject({
    predictions: [{ image: images[0] }, { image: broken, error: expect.stringContaining('broken.png') as string }],
  });
});

it('never touches the backbone, the images or the features it has', async () => {
  const { run } = await stage.train(READY, '--method', 'last', '--epochs', '2');
  const model = join(stage.workspace(READY), 'backbones', 'vit', 'model.onnx');
  expect(await hashOf(model)).toBe(await hashOf(stage.backbone));
  const { tensors } = await readSafetensors(join(stage.runFolder(READY, run), 'checkpoint.safetensors'));
  expect([...tensors.keys()].every((name) => /^(adam\.(mean|variance)\.)?(modules|head)\./.test(name))).toBe(true);
});

it('keeps LAST from falling below linear when its head starts from a linear probe', async () => {
  const linear = await stage.train(READY, '--method', 'linear', '--pool', 'mean');
  const warm = await stage.train(
    READY,
    '--method',
    'last',
    '--pool',
    'mean',
    '--warm-start',
    'linear',
    '--epochs',
    '1',
    '--lr',
    '1e-6',
    '--head-lr',
    '1e-8',
  );
  const cold = await stage.train(
    READY,
    '--method',
    'last',
    '--pool',
    'mean',
    '--epochs',
    '1',
    '--lr',
    '1e-6',
    '--head-lr',
    '1e-8',
  );
  expect(warm.loss).toBeLessThan(cold.loss);
  expect(warm.loss).toBeLessThan(linear.loss * 1.1);
  expect(warm.val!.top1).toBeGreaterThan(linear.val!.top1 - 0.1);
});

it('gives the same losses on the eager engine', async () => {
  const settings = [
    '--method',
    'last',
    '--epochs',
    '1',
    '--batch',
    '8',
    '--limit',
    '16',
    '--group',
    '2',
    '--rank',
    '2',
    '--no-test',
  ];
  const compiled = await stage.train(READY, ...settings);
  const eager = await stage.train(READY, ...settings, '--engine', 'eager');
  expect(eager.engine).toBe('eager');
  expect(eager.test).toBeNull();
  expect(Math.abs(eager.loss - compiled.loss)).toBeLessThan(1e-4);
});

it('gives the same losses in the low-rank form', async () => {
  const settings = ['--method', 'last', '--epochs', '2', '--lr', '3e-3', '--no-test'];
  const plain = await stage.train(READY, ...settings);
  const lowRank = await stage.train(READY, ...settings, '--step-form', 'low-rank');
  expect(Math.abs(lowRank.loss - plain.loss)).toBeLessThan(1e-4);
});

it('gives the same numbers on two threads as on one, and the same bits on two threads again', async () => {
  const settings = ['--method', 'last', '--epochs', '3', '--lr', '3e-3', '--drop-path', '0.1', '--no-test'];
  const one = await stage.train(READY, ...settings);
  const two = await stage.train(READY, ...settings, '--threads', '2');
  const again = await stage.train(READY, ...settings, '--threads', '2');
  const best = (run: RunResult) => join(stage.runFolder(READY, run.run), 'best.safetensors');
  expect(await hashOf(best(again))).toBe(await hashOf(best(two)));
  expect(Math.abs(two.loss - one.loss)).toBeLessThan(1e-4);
});

it('finds damage in the feature cache, says so and mends it', async () => {
  const whole = await stage.train('damaged', '--method', 'linear', '--epochs', '1');
  const features = join(stage.folder, 'damaged', 'features');
  const [base] = execFileSync('find', [features, '-name', 'base.safetensors'], { encoding: 'utf8' }).split('\n');
  const file = await open(base!, 'r+');
  const place = (await readSafetensorsHeader(file, base!)).tensors.get('base_cls')!;
  await file.write(Uint8Array.of(7, 7, 7, 7), 0, 4, place.start + 40);
  await file.close();
  const ended = await runCli(stage.trainArgs('damaged', '--method', 'linear', '--epochs', '1'));
  expect(ended.code, ended.stderr).toBe(0);
  expect(ended.stderr).toContain(`The feature file "${base!}" was damaged: it is deleted, and extracted anew.`);
  const { loss, seconds } = resultSchema.parse(ended.json);
  expect(loss).toBe(whole.loss);
  expect(seconds.extract).toBeGreaterThan(0);
});

it('uses a stratified part of the training images with --limit', async () => {
  const limited = await stage.train('limited', '--method', 'linear', '--epochs', '1', '--limit', '32', '--no-test');
  const headers = execFileSync('find', [join(stage.folder, 'limited', 'features'), '-name', 'about.json'], {
    encoding: 'utf8',
  })
    .trim()
    .split('\n');
  const counts = await Promise.all(
    headers.map(async (path) => z.object({ images: z.int() }).parse(JSON.parse(await readFile(path, 'utf8'))).images),
  );
  expect(counts.sort((a, b) => a - b)).toEqual([32, 48]);
  expect(limited.test).toBeNull();
});

it('says that the learning rate is too high when the loss is no longer a number, and lists the run all the same', async () => {
  const ended = await runCli(
    stage.trainArgs('diverged', '--method', 'last', '--epochs', '3', '--lr', '1e30', '--no-test'),
  );
  expect(ended.code).toBe(1);
  expect(ended.json).toMatchObject({
    error: { code: 'diverged', message: expect.stringMatching(/in epoch \d.*Lower the learning rate/) as string },
  });
  const runs = await runCli(['runs', 'list', '--json', '--workspace', join(stage.folder, 'diverged')]);
  expect(runs.code).toBe(0);
  expect(runs.json).toMatchObject({ runs: [{ method: 'last', state: 'unfinished' }] });
});

/** What scripts read: the JSON of the commands that put a run to use, key by key. */
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { writePlainVit } from '../../../src-main/backbone/plain-vit.ts';
import { orientationNames, writeOrientationSet } from '../../../src-main/data/sample/orientation.ts';
import { runCli } from './run-cli.ts';

const fraction = z.number().min(0).max(1);
const amount = z.number().nonnegative();
const score = z.strictObject({ top1: fraction, macro: fraction });

const trainAnswer = z.strictObject({
  run: z.string(),
  method: z.enum(['linear', 'miet', 'last']),
  parameters: z.int().nonnegative(),
  headParameters: z.int().positive(),
  epochs: z.int(),
  loss: amount,
  val: score,
  test: score.nullable(),
  seconds: z.strictObject({ extract: amount, train: amount, total: amount }),
  peakRssBytes: z.strictObject({ trainer: z.int().positive(), vit: z.int().positive().nullable() }),
  featureBytesPerImage: z.int().positive(),
  engine: z.literal('compiled'),
  device: z.literal('cpu'),
  settings: z.record(z.string(), z.unknown()),
  // More than was promised.
  dataset: z.string(),
  backbone: z.string(),
  bestEpoch: z.int().positive(),
});

const evaluation = z.strictObject({
  run: z.string(),
  split: z.enum(['train', 'val', 'test']),
  top1: fraction,
  macro: fraction,
  perClass: z.array(
    z.strictObject({ class: z.string(), images: z.int(), precision: fraction, recall: fraction, f1: fraction }),
  ),
  confusion: z.array(z.array(z.int().nonnegative())),
  ece: fraction,
  // More than was promised.
  images: z.int(),
  epoch: z.int().positive(),
  interval: z.strictObject({ level: fraction, low: fraction, high: fraction }),
  averages: z.strictObject({ precision: fraction, recall: fraction, f1: fraction }),
  loss: amount,
  reliability: z.array(z.strictObject({ images: z.int().nonnegative(), confidence: fraction, accuracy: fraction })),
  predictions: z.string().optional(),
});
const mistakesAnswer = z.strictObject({
  run: z.string(),
  split: z.enum(['train', 'val', 'test']),
  images: z.int(),
  total: z.int(),
  mistakes: z.array(
    z.strictObject({
      path: z.string(),
      label: z.enum(orientationNames),
      predicted: z.enum(orientationNames),
      confidence: fraction,
      own: fraction,
    }),
  ),
});
const shares = { prefix: fraction, patches: z.array(fraction).length(16) };
const attentionAnswer = z.strictObject({
  run: z.string(),
  image: z.string(),
  pool: z.enum(['cls', 'mean']),
  grid: z.strictObject({ rows: z.literal(4), columns: z.literal(4) }),
  modules: z.array(z.strictObject({ ...shares, module: z.int(), map: z.string(), block: z.int(), increment: amount })),
  rollout: z.strictObject(shares),
  label: z.enum(orientationNames),
  probability: fraction,
  out: z.string().optional(),
});
const predictedImages = z.array(
  z.strictObject({
    path: z.string(),
    label: z.enum(orientationNames),
    predicted: z.enum(orientationNames),
    probability: fraction,
    correct: z.boolean(),
  }),
);

const guess = z.strictObject({ label: z.string(), index: z.int(), probability: fraction });
const predictionsAnswer = z.strictObject({
  predictions: z.array(
    z.union([
      z.strictObject({ image: z.string(), label: z.string(), index: z.int(), top: z.array(guess).min(1) }),
      z.strictObject({ image: z.string(), error: z.string().min(1) }),
    ]),
  ),
});

const parity = {
  images: z.int(),
  maxAbsLogit: amount,
  top1Changes: z.int().nonnegative(),
  // More than was promised.
  bound: amount,
  changed: z.array(z.strictObject({ image: z.string(), from: z.string(), to: z.string(), margin: amount })),
};
const exportAnswer = z.strictObject({
  run: z.string(),
  files: z.array(z.string()),
  bytes: z.array(z.int().positive()),
  parity: z.strictObject({
    ...parity,
    // More than was promised.
    adaptor: z.strictObject(parity),
    merged: z.strictObject(parity),
  }),
});

const demoAnswer = z.strictObject({
  runs: z.array(trainAnswer),
  sweep: z.strictObject({
    sweep: z.string(),
    trials: z.array(z.looseObject({ trial: z.int(), state: z.literal('done'), test: z.null() })).length(4),
    best: trainAnswer,
    retrained: z.null(),
    seconds: z.strictObject({ extract: z.literal(0), train: z.number().positive(), total: z.number().positive() }),
  }),
  export: exportAnswer,
});

const smallVit = () => writePlainVit({ size: 16, patch: 4, width: 12, blocks: 2, heads: 3 });

const [TRAIN, VAL, TEST] = [32, 16, 12];

let base: string;
let images: string;
let trained: z.infer<typeof trainAnswer>;

const cli = (...args: string[]) => runCli(['--workspace', join(base, 'workspace'), '--json', ...args]);

beforeAll(async () => {
  base = await mkdtemp(join(tmpdir(), 'sidetune-json-'));
  images = join(base, 'hearts');
  await writeOrientationSet(images, { train: TRAIN, val: VAL, test: TEST, size: 24 });
  const vit = join(base, 'vit.onnx');
  await writeFile(vit, smallVit());
  const data = ['--dataset', images, '--backbone', vit];
  const ended = await cli('train', ...data, '--method', 'last', '--rank', '2', '--epochs', '2', '--threads', '1');
  expect(ended.code, ended.stderr).toBe(0);
  trained = trainAnswer.parse(ended.json);
  expect(trained).toMatchObject({ method: 'last', dataset: 'hearts', backbone: 'vit', epochs: 2 });
  expect(trained.parameters).toBeGreaterThan(0);
});
afterAll(() => rm(base, { recursive: true }));

describe('evaluate', () => {
  it.each([
    [[], 'test', TEST],
    [['--split', 'val'], 'val', VAL],
  ] as const)('%j', async (flags, split, count) => {
    const ended = await cli('evaluate', trained.run, ...flags);
    expect(ended.code, ended.stderr).toBe(0);
    const found = evaluation.parse(ended.json);
    expect(found).toMatchObject({ run: trained.run, split, images: count });
    expect({ top1: found.top1, macro: found.macro }).toEqual(trained[split]);
    expect(found.perClass.map((row) => row.class)).toEqual(orientationNames);
    expect(found.confusion.map((row) => row.length)).toEqual(orientationNames.map(() => orientationNames.length));
    const sums = found.confusion.map((row) => row.reduce((sum, each) => sum + each, 0));
    expect(sums).toEqual(found.perClass.map((row) => row.images));
    expect(sums.reduce((sum, each) => sum + each, 0)).toBe(count);
    expect(found.epoch).toBe(trained.bestEpoch);
    expect(found.averages.recall).toBeCloseTo(found.macro, 12);
    expect(found.interval.low).toBeLessThanOrEqual(found.top1);
    expect(found.interval.high).toBeGreaterThanOrEqual(found.top1);
  });

  it('writes what each image was taken for', async () => {
    const file = join(base, 'predictions.json');
    const ended = await cli('evaluate', trained.run, '--split', 'val', '--predictions', file);
    expect(ended.code, ended.stderr).toBe(0);
    const { top1, confusion, predictions } = evaluation.parse(ended.json);
    expect(predictions).toBe(file);
    const rows = predictedImages.parse(JSON.parse(await readFile(file, 'utf8')));
    expect(rows.map(({ path }) => existsSync(path))).toEqual(new Array(VAL).fill(true));
    expect(rows.filter(({ correct }) => correct)).toHaveLength(Math.round(top1 * VAL));
    for (const { label, predicted, correct } of rows) expect(correct).toBe(label === predicted);
    const counts = confusion.map((row) => row.map(() => 0));
    for (const { label, predicted } of rows)
      counts[orientationNames.indexOf(label)]![orientationNames.indexOf(predicted)]!++;
    expect(counts).toEqual(confusion);
    expect(await cli('evaluate', trained.run, '--predictions', 'x.txt')).toMatchObject({ code: 2 });
  });
});

it('predict answers in the order asked, an unreadable picture with an error and 1', async () => {
  const torn = join(base, 'torn.png');
  await writeFile(torn, 'no picture');
  const asked = [join(images, 'images/test-00003.png'), torn, join(images, 'images/test-00001.png')];
  const ended = await cli('predict', trained.run, ...asked);
  expect(ended.code).toBe(1);
  const { predictions } = predictionsAnswer.parse(ended.json);
  expect(predictions.map(({ image }) => image)).toEqual(asked);
  expect(predictions.map((prediction) => 'error' in prediction)).toEqual([false, true, false]);
  for (const prediction of predictions) {
    if ('error' in prediction) continue;
    const { label, index, top } = prediction;
    expect(label).toBe(orientationNames[index]);
    expect(top[0]).toMatchObject({ label, index });
    const probabilities = top.map(({ probability }) => probability);
    expect(probabilities).toEqual(probabilities.toSorted((a, b) => b - a));
  }
  expect((await cli('predict', trained.run, asked[0]!)).code).toBe(0);
});

it('runs mistakes lists what was taken for something else, the surest first, evaluated or not', async () => {
  for (const flags of [[], ['--split', 'train']]) {
    const ended = await cli('runs', 'mistakes', trained.run, ...flags, '--limit', '5');
    expect(ended.code, ended.stderr).toBe(0);
    const { images: count, total, mistakes } = mistakesAnswer.parse(ended.json);
    expect(count).toBe(flags.length > 0 ? TRAIN : TEST);
    expect(mistakes).toHaveLength(Math.min(total, 5));
    expect(mistakes.filter(({ label, predicted }) => label === predicted)).toEqual([]);
    expect(mistakes).toEqual(mistakes.toSorted((a, b) => b.confidence - a.confidence));
  }
  expect(await cli('runs', 'mistakes', trained.run, '--limit', '0')).toMatchObject({ code: 2 });
});

it('runs attention says where each module looks, and draws it', async () => {
  const image = join(images, 'images/test-00003.png');
  const out = join(base, 'looks.png');
  const ended = await cli('runs', 'attention', trained.run, image, '--out', out);
  expect(ended.code, ended.stderr).toBe(0);
  const attention = attentionAnswer.parse(ended.json);
  expect(attention).toMatchObject({ run: trained.run, image, out });
  expect(attention.modules.map(({ map }) => map)).toEqual(['P1_1', 'P1_2']);
  // The picture, rollout and two modules of 16 x 16 pixels, 4 apart.
  const { width, height } = await sharp(out).metadata();
  expect([width, height]).toEqual([4 * 16 + 3 * 4, 16]);
  expect(await cli('runs', 'attention', trained.run, image, '--out', 'x.jpg')).toMatchObject({ code: 2 });
});

it('export names its files and how far its models are from the app', async () => {
  const out = join(base, 'out');
  const ended = await cli('export', trained.run, '--out', out);
  expect(ended.code, ended.stderr).toBe(0);
  const { run, files, parity } = exportAnswer.parse(ended.json);
  expect(run).toBe(trained.run);
  const names = ['adaptor.onnx', 'merged.onnx', 'labels.txt', 'preprocessing.json', 'README.md'];
  expect(files).toEqual(names.map((name) => join(out, name)));
  expect(files.filter((file) => !existsSync(file))).toEqual([]);
  expect(parity).toMatchObject({ images: VAL, top1Changes: 0 });
  expect(parity.adaptor.maxAbsLogit).toBeLessThan(1e-4);
});

it('runs list prints each run as train did', async () => {
  expect((await cli('runs', 'list')).json).toEqual({ runs: [{ ...trained, state: 'done' }] });
});

describe('demo', () => {
  it('takes no arguments and no settings', async () => {
    expect((await runCli(['demo', '--help'])).code).toBe(0);
    expect(await cli('demo', 'cats')).toMatchObject({ code: 2, json: { error: { code: 'usage' } } });
    expect(await cli('demo', '--rank', '8')).toMatchObject({ code: 2, json: { error: { code: 'usage' } } });
    expect(existsSync(join(base, 'workspace', 'samples'))).toBe(false);
  });

  it('shows linear, MIET and LAST and a sweep, all on what one pass of the ViT gave, and an export', async () => {
    // Smaller samples than its own, where it looks for those that it has made before.
    const samples = join(base, 'demo', 'samples');
    await writeOrientationSet(join(samples, 'orientation'), { train: 16, val: 16, test: 0, size: 24 });
    const ended = await runCli(['--workspace', join(base, 'demo'), 'demo', '--json']);
    expect(ended.code, ended.stderr).toBe(0);
    const { runs, export: exported } = demoAnswer.parse(ended.json);
    expect(runs.map(({ method }) => method)).toEqual(['linear', 'miet', 'last']);
    expect(runs.map(({ seconds }) => seconds.extract > 0)).toEqual([false, false, true]);
    expect(exported.run).toBe(runs[2]!.run);
    expect(ended.stderr).toMatch(
      /shapes-vit-64, a small ViT, pretrained on [\d,]+ generated pictures of shapes; .* never seen a photograph/,
    );
    expect(runs.map(({ backbone }) => backbone)).toEqual(Array(3).fill('shapes-vit-64'));
  });
});

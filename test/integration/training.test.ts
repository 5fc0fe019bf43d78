/** The main job through the real command: trained, repeated, killed, resumed, evaluated, on real files. */
import { execFileSync, type ChildProcess } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, open, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { writePlainVit } from '../../src-main/backbone/plain-vit.ts';
import { writeOrientationSet } from '../../src-main/data/sample/orientation.ts';
import { epochSchema, resultSchema, type RunResult } from '../../src-main/training/run-folder.ts';
import { readSafetensors, readSafetensorsHeader } from '../../src-main/workspace/safetensors.ts';
import { runCli, type Ended } from './cli/run-cli.ts';

let folder: string;
let dataset: string;
let backbone: string;
const TRAIN = 160;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'training-'));
  dataset = join(folder, 'hearts');
  backbone = join(folder, 'vit.onnx');
  await writeOrientationSet(dataset, { train: TRAIN, val: 48, test: 64, seed: 2 });
  await writeFile(backbone, writePlainVit({ blocks: 4, seed: 5 }));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

function trainArgs(workspace: string, ...more: string[]): string[] {
  return [
    'train',
    '--workspace',
    join(folder, workspace),
    '--json',
    '--dataset',
    dataset,
    '--backbone',
    backbone,
    '--threads',
    '1',
    ...more,
  ];
}

async function train(workspace: string, ...more: string[]): Promise<RunResult> {
  const ended = await runCli(trainArgs(workspace, ...more));
  expect(ended.stderr + ended.stdout).not.toContain('    at ');
  expect(ended.code, ended.stderr).toBe(0);
  return resultSchema.parse(ended.json);
}

function runFolder(workspace: string, run: string): string {
  return join(folder, workspace, 'runs', run);
}

async function hashOf(path: string): Promise<string> {
  return createHash('sha256')
    .update(await readFile(path))
    .digest('hex');
}

async function epochsOf(path: string) {
  const lines = (await readFile(path, 'utf8')).trimEnd().split('\n');
  return lines.map((line) => epochSchema.parse(JSON.parse(line))).map(({ epoch, loss, val }) => ({ epoch, loss, val }));
}

describe.each(['linear', 'miet', 'last'] as const)('%s', (method) => {
  it('is trained, kept on disk, evaluated and repeated bit for bit', async () => {
    const first = await train(
      `repeat-${method}`,
      '--method',
      method,
      '--epochs',
      '4',
      '--drop-path',
      method === 'linear' ? '0' : '0.1',
    );
    expect(first.method).toBe(method);
    expect(first.val!.top1).toBeGreaterThanOrEqual(0);
    expect(first.test!.top1).toBeLessThanOrEqual(1);
    expect(first.seconds.extract).toBeGreaterThan(0);
    expect(first.seconds.total).toBeGreaterThan(first.seconds.train);
    expect(first.peakRssBytes.trainer).toBeGreaterThan(50e6);
    expect(first.peakRssBytes.vit).toBeGreaterThan(50e6);
    const files = runFolder(`repeat-${method}`, first.run);
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

    const again = await train(
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
    expect(await hashOf(join(runFolder(`repeat-${method}`, again.run), 'best.safetensors'))).toBe(
      await hashOf(join(files, 'best.safetensors')),
    );
    expect(await epochsOf(join(runFolder(`repeat-${method}`, again.run), 'metrics.jsonl'))).toEqual(epochs);

    const evaluated = await runCli(['evaluate', first.run, '--json', '--workspace', join(folder, `repeat-${method}`)]);
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
  const { run } = await train('predict', '--method', 'last', '--epochs', '3', '--lr', '3e-3');
  const lines = (await readFile(join(dataset, 'test.txt'), 'utf8')).trimEnd().split('\n');
  const images = lines.map((line) => join(dataset, line.slice(0, line.lastIndexOf(' '))));
  const labels = lines.map((line) => Number(line.slice(line.lastIndexOf(' ') + 1)));
  const evaluated = await runCli(['evaluate', run, '--json', '--workspace', join(folder, 'predict')]);
  const predicted = await runCli(['predict', run, ...images, '--json', '--workspace', join(folder, 'predict')]);
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

  const broken = join(folder, 'broken.png');
  await writeFile(broken, 'not a picture');
  const mixed = await runCli(['predict', run, images[0]!, broken, '--json', '--workspace', join(folder, 'predict')]);
  expect(mixed.code).toBe(1);
  expect(mixed.json).toMatchObject({
    predictions: [{ image: images[0] }, { image: broken, error: expect.stringContaining('broken.png') as string }],
  });
});

describe('a run that is cut off', () => {
  let whole: RunResult;
  const settings = ['--method', 'last', '--epochs', '12', '--lr', '3e-3', '--drop-path', '0.1'];

  beforeAll(async () => {
    whole = await train('whole', ...settings);
  });

  async function expectSame(workspace: string, resumed: RunResult): Promise<void> {
    const files = runFolder(workspace, resumed.run);
    const reference = runFolder('whole', whole.run);
    expect(await epochsOf(join(files, 'metrics.jsonl'))).toEqual(await epochsOf(join(reference, 'metrics.jsonl')));
    expect(await hashOf(join(files, 'best.safetensors'))).toBe(await hashOf(join(reference, 'best.safetensors')));
    expect(resumed.test).toEqual(whole.test);
    expect(resumed.loss).toBe(whole.loss);
  }

  /** Starts a run and calls `act` once `epoch` is in its metrics. */
  function startAndAct(
    workspace: string,
    epoch: number,
    act: (child: ChildProcess) => void,
    ...more: string[]
  ): Promise<Ended> {
    return runCli(trainArgs(workspace, ...settings, ...more), {
      onStart: (child) => {
        const watch = setInterval(() => {
          if (epochsDone(workspace) < epoch) return;
          clearInterval(watch);
          act(child);
        }, 20);
        child.on('close', () => clearInterval(watch));
      },
    });
  }

  function epochsDone(workspace: string): number {
    const runs = join(folder, workspace, 'runs');
    const [run] = existsSync(runs) ? readdirSync(runs) : [];
    const metrics = run ? join(runs, run, 'metrics.jsonl') : '';
    return existsSync(metrics) ? readFileSync(metrics, 'utf8').split('\n').length - 1 : 0;
  }

  it('by Ctrl-C ends with 130 and a line that says how to go on, and goes on to the same numbers', async () => {
    const stopped = await startAndAct('interrupted', 2, (child) => child.kill('SIGINT'));
    expect(stopped.code).toBe(130);
    expect(stopped.stderr).toContain('--resume');
    await expectSame('interrupted', await train('interrupted', ...settings, '--resume'));
  });

  it('by kill -9 of the whole process goes on to the same numbers, twice', async () => {
    for (const epoch of [1, 3]) {
      const killed = await startAndAct(
        'killed',
        epoch,
        (child) => child.kill('SIGKILL'),
        ...(epoch > 1 ? ['--resume'] : []),
      );
      expect(killed.code).toBeNull();
    }
    await expectSame('killed', await train('killed', ...settings, '--resume'));
  });

  it('by the death of the training process says so, and goes on to the same numbers', async () => {
    const died = await startAndAct('orphaned', 2, (child) => {
      const children = execFileSync('ps', ['--ppid', String(child.pid), '-o', 'pid=,args='], { encoding: 'utf8' });
      const trainer = children.split('\n').find((line) => line.includes('trainer-process'));
      process.kill(Number.parseInt(trainer!.trim(), 10), 'SIGKILL');
    });
    expect(died.code).toBe(1);
    expect(died.json).toMatchObject({
      error: { code: 'trainer-died', message: expect.stringContaining('ended unexpectedly (SIGKILL)') as string },
    });
    await expectSame('orphaned', await train('orphaned', ...settings, '--resume'));
  });

  it('has nothing to resume when it is finished', async () => {
    const ended = await runCli(trainArgs('whole', ...settings, '--resume'));
    expect(ended.code).toBe(1);
    expect(ended.json).toMatchObject({ error: { code: 'nothing-to-resume' } });
    const byName = await runCli(trainArgs('whole', ...settings, '--resume', whole.run));
    expect(byName.json).toMatchObject({ error: { code: 'finished' } });
  });

  it('and whose checkpoint is cut short gets a sentence and keeps its files', async () => {
    await startAndAct('torn', 2, (child) => child.kill('SIGKILL'));
    const runs = await runCli(['runs', 'list', '--json', '--workspace', join(folder, 'torn')]);
    const [{ run }] = z.object({ runs: z.tuple([z.object({ run: z.string() })]) }).parse(runs.json).runs;
    const checkpoint = join(runFolder('torn', run), 'checkpoint.safetensors');
    await truncate(checkpoint, (await stat(checkpoint)).size - 100);
    const ended = await runCli(trainArgs('torn', ...settings, '--resume'));
    expect(ended.code).toBe(1);
    expect(ended.json).toMatchObject({
      error: { code: 'damaged-file', message: expect.stringContaining('checkpoint.safetensors') as string },
    });
  });
});

it('never touches the backbone, the images or the features it has', async () => {
  const { run } = await train('frozen', '--method', 'last', '--epochs', '2');
  const model = join(folder, 'frozen', 'backbones', 'vit', 'model.onnx');
  expect(await hashOf(model)).toBe(await hashOf(backbone));
  const { tensors } = await readSafetensors(join(runFolder('frozen', run), 'checkpoint.safetensors'));
  expect([...tensors.keys()].every((name) => /^(adam\.(mean|variance)\.)?(modules|head)\./.test(name))).toBe(true);
});

it('keeps LAST from falling below linear when its head starts from a linear probe', async () => {
  const linear = await train('warm', '--method', 'linear', '--pool', 'mean');
  const warm = await train(
    'warm',
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
  const cold = await train(
    'warm',
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
  const compiled = await train('engines', ...settings);
  const eager = await train('engines', ...settings, '--engine', 'eager');
  expect(eager.engine).toBe('eager');
  expect(eager.test).toBeNull();
  expect(Math.abs(eager.loss - compiled.loss)).toBeLessThan(1e-4);
});

it('gives the same losses in the low-rank form', async () => {
  const settings = ['--method', 'last', '--epochs', '2', '--lr', '3e-3', '--no-test'];
  const plain = await train('forms', ...settings);
  const lowRank = await train('forms', ...settings, '--step-form', 'low-rank');
  expect(Math.abs(lowRank.loss - plain.loss)).toBeLessThan(1e-4);
});

it('gives the same numbers on two threads as on one, and the same bits on two threads again', async () => {
  const settings = ['--method', 'last', '--epochs', '3', '--lr', '3e-3', '--drop-path', '0.1', '--no-test'];
  const one = await train('threads', ...settings);
  const two = await train('threads', ...settings, '--threads', '2');
  const again = await train('threads', ...settings, '--threads', '2');
  const best = (run: RunResult) => join(runFolder('threads', run.run), 'best.safetensors');
  expect(await hashOf(best(again))).toBe(await hashOf(best(two)));
  expect(await hashOf(best(two))).not.toBe(await hashOf(best(one)));
  expect(Math.abs(two.loss - one.loss)).toBeLessThan(1e-4);
});

it('finds damage in the feature cache and says how to mend it', async () => {
  await train('damaged', '--method', 'linear', '--epochs', '1');
  const features = join(folder, 'damaged', 'features');
  const [base] = execFileSync('find', [features, '-name', 'base.safetensors'], { encoding: 'utf8' }).split('\n');
  const file = await open(base!, 'r+');
  const place = (await readSafetensorsHeader(file, base!)).tensors.get('base_cls')!;
  await file.write(Uint8Array.of(7, 7, 7, 7), 0, 4, place.start + 40);
  await file.close();
  const ended = await runCli(trainArgs('damaged', '--method', 'linear', '--epochs', '1'));
  expect(ended.code).toBe(1);
  expect(ended.json).toMatchObject({
    error: { code: 'damaged-features', message: expect.stringContaining('delete it') as string },
  });
  await rm(base!);
  expect((await train('damaged', '--method', 'linear', '--epochs', '1')).seconds.extract).toBeGreaterThan(0);
});

it('uses a stratified part of the training images with --limit', async () => {
  const limited = await train('limited', '--method', 'linear', '--epochs', '1', '--limit', '32');
  expect(limited.settings.limit).toBe(32);
});

/** Runs whose features are kept otherwise than in half precision: trained, resumed, evaluated, used and exported. */
import { existsSync, readdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { RunResult } from '../../src-main/training/run-folder.ts';
import { runCli } from './cli/run-cli.ts';
import { epochsOf, hashOf, Stage } from './stage.ts';

let stage: Stage;
beforeAll(async () => {
  stage = await Stage.set();
});
afterAll(() => stage.clear());

const settings = ['--method', 'last', '--epochs', '3', '--lr', '3e-3'];

/** Evaluation, prediction and export of a run agree with what it said at its end. */
async function expectAgreement(workspace: string, { run, test }: RunResult): Promise<void> {
  const where = ['--json', '--workspace', stage.workspace(workspace)];
  const evaluated = await runCli(['evaluate', run, ...where]);
  expect(evaluated.code, evaluated.stderr).toBe(0);
  expect(evaluated.json).toMatchObject({ split: 'test', top1: test!.top1 });

  const lines = (await readFile(join(stage.dataset, 'test.txt'), 'utf8')).trimEnd().split('\n');
  const images = lines.map((line) => join(stage.dataset, line.slice(0, line.lastIndexOf(' '))));
  const predicted = await runCli(['predict', run, ...images, ...where]);
  expect(predicted.code, predicted.stderr).toBe(0);
  const { predictions } = z.object({ predictions: z.array(z.object({ index: z.int() })) }).parse(predicted.json);
  const right = predictions.filter(({ index }, place) => lines[place]!.endsWith(` ${index}`)).length;
  expect(right / images.length).toBeCloseTo(test!.top1, 6);

  const exported = await runCli(['export', run, '--out', join(stage.folder, `${workspace}-out`), ...where]);
  expect(exported.code, exported.stderr).toBe(0);
  expect(exported.json).toMatchObject({ parity: { adaptor: { top1Changes: 0 }, merged: { top1Changes: 0 } } });
}

describe('--cache int8', () => {
  it('takes about half the room, comes close to fp16, and everything that is done with the run repeats its rounding', async () => {
    const half = await stage.train('int8', ...settings);
    const eight = await stage.train('int8', ...settings, '--cache', 'int8');
    expect(eight.settings).toMatchObject({ cache: 'int8' });
    expect(eight.featureBytesPerImage).toBeLessThan(0.6 * half.featureBytesPerImage);
    expect(eight.loss).not.toBe(half.loss);
    expect(Math.abs(eight.loss - half.loss)).toBeLessThan(0.05);
    expect(readdirSync(join(stage.workspace('int8'), 'features'))).toHaveLength(6);
    await expectAgreement('int8', eight);
  });
});

describe('--cache none', () => {
  const best = (workspace: string, { run }: RunResult) => join(stage.runFolder(workspace, run), 'best.safetensors');
  const metrics = (workspace: string, { run }: RunResult) => join(stage.runFolder(workspace, run), 'metrics.jsonl');

  it('leaves nothing but the run on the disk, and gives the numbers of fp16, cut off or not, on any number of threads', async () => {
    const more = [...settings, '--threads', '2', '--drop-path', '0.1'];
    const cached = await stage.train('cached', ...more);
    const stopped = await runCli(stage.trainArgs('none', ...more, '--cache', 'none'), {
      onStart: (child) => void stage.untilEpoch('none', 1).then(() => child.kill('SIGINT')),
    });
    expect(stopped.code, stopped.stderr).toBe(130);
    const live = await stage.train('none', ...more, '--cache', 'none', '--resume');
    expect(existsSync(join(stage.workspace('none'), 'features'))).toBe(false);
    expect(live.featureBytesPerImage).toBe(0);
    expect(live.seconds.extract).toBe(0);
    expect(live.peakRssBytes.vit).toBe(live.peakRssBytes.trainer);
    expect(await epochsOf(metrics('none', live))).toEqual(await epochsOf(metrics('cached', cached)));
    expect(await hashOf(best('none', live))).toBe(await hashOf(best('cached', cached)));
    expect(live.test).toEqual(cached.test);
    await expectAgreement('none', live);
    expect(existsSync(join(stage.workspace('none'), 'features'))).toBe(false);
  });

  it('starts a warm head from the same linear probe', async () => {
    const more = ['--method', 'last', '--epochs', '1', '--warm-start', 'linear', '--limit', '32', '--no-test'];
    const cached = await stage.train('warm-cached', ...more);
    const live = await stage.train('warm-none', ...more, '--cache', 'none');
    expect(await hashOf(best('warm-none', live))).toBe(await hashOf(best('warm-cached', cached)));
    expect(readdirSync(stage.runFolder('warm-none', live.run)).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });
});

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { comparisonTable, runTable } from '../../../src-main/cli/run-words.ts';
import { compareRuns, listRuns, showRun } from '../../../src-main/studio/runs.ts';
import { checkAgainstRun, requestToResume } from '../../../src-main/studio/resume.ts';
import { appendMetrics, readConfig, runFile, writeConfig, writeResult } from '../../../src-main/training/run-folder.ts';
import { completeSettings } from '../../../src-main/training/settings.ts';
import type { SettingsChoice } from '../../../src-main/training/settings.ts';
import { Workspace } from '../../../src-main/workspace/workspace.ts';

let folder: string;
let workspace: Workspace;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'runs-'));
  workspace = await Workspace.open(folder);
  await writeRun('second', 2, { method: 'last', rank: 4 });
  await writeRun('first', 1, { method: 'last' });
});
afterEach(() => rm(folder, { recursive: true }));

/** A run that has not begun; `hour` orders them. */
async function writeRun(run: string, hour: number, choice: SettingsChoice): Promise<void> {
  const settings = completeSettings(choice, { name: 'vit', blocks: 6, prefix: 1 });
  await writeConfig(workspace, {
    version: 1,
    run,
    created: `2026-01-01T0${hour}:00:00.000Z`,
    dataset: 'signs',
    backbone: 'vit',
    backboneSha256: 'abc',
    data: { train: '', val: '', test: '' },
    classes: ['a', 'b'],
    parameters: 100,
    headParameters: 10,
    settings,
    noTest: true,
    engine: 'compiled',
    device: 'cpu',
    threads: 2,
    stepForm: 'plain',
    microBatch: 8,
    scales: [1],
  });
}

async function addEpochs(run: string, top1: readonly number[]): Promise<void> {
  for (const [index, score] of top1.entries())
    await appendMetrics(runFile(workspace, run, 'metrics'), {
      epoch: index + 1,
      loss: 1 / (index + 1),
      learningRate: 1e-3,
      val: { top1: score, macro: score, loss: 1 },
      seconds: 1,
      rssBytes: 1e8,
    });
}

async function finish(run: string): Promise<void> {
  const { config } = await showRun(workspace, run);
  await writeResult(workspace, {
    run,
    method: 'last',
    dataset: config.dataset,
    backbone: config.backbone,
    parameters: config.parameters,
    headParameters: config.headParameters,
    epochs: 30,
    loss: 0.1,
    bestEpoch: 7,
    val: { top1: 0.9, macro: 0.89 },
    test: null,
    seconds: { extract: 1, train: 2, total: 83 },
    peakRssBytes: { trainer: 2e8, vit: null },
    featureBytesPerImage: 1000,
    engine: 'compiled',
    device: 'cpu',
    settings: config.settings,
  });
}

describe('runs', () => {
  it('are listed oldest first, unfinished ones with what they have reached', async () => {
    await finish('first');
    await addEpochs('second', [0.5, 0.7, 0.7]);
    const { runs } = await listRuns(workspace);
    expect(runs.map(({ run, state }) => [run, state])).toEqual([
      ['first', 'done'],
      ['second', 'unfinished'],
    ]);
    expect(runs[1]).toMatchObject({ epochs: 3, bestEpoch: 2, val: { top1: 0.7, macro: 0.7 }, test: null, loss: 1 / 3 });
    const [, first, second] = runTable(runs).split('\n');
    expect(first).toMatch(/^first +last +vit +90\.0 % +- +100 +1 min 23 s +done$/);
    expect(second).toMatch(/^second +last +vit +70\.0 % +- +100 +- +unfinished, 3 of 30 epochs$/);
  });

  it('that have not begun have no scores', async () => {
    const { runs } = await listRuns(workspace);
    expect(runs[0]).toMatchObject({ epochs: 0, loss: null, val: null, bestEpoch: null });
  });

  it('are listed with those that are damaged', async () => {
    await finish('first');
    await writeFile(runFile(workspace, 'first', 'result'), '{ "half');
    await writeFile(runFile(workspace, 'second', 'metrics'), '{ "epoch": "one" }\n');
    await writeRun('third', 3, { method: 'miet' });
    await writeRun('fourth', 4, { method: 'miet' });
    await writeFile(runFile(workspace, 'fourth', 'config'), '');
    const { runs } = await listRuns(workspace);
    expect(runs.map(({ run, state, method }) => [run, state, method])).toEqual([
      ['first', 'damaged', 'last'],
      ['second', 'damaged', 'last'],
      ['third', 'unfinished', 'miet'],
      ['fourth', 'damaged', null],
    ]);
    expect(runs[0]).toMatchObject({ dataset: 'signs', settings: { rank: 8 } });
    const lines = runTable(runs).split('\n');
    expect(lines[1]).toMatch(/^first +last +vit +- +- +100 +- +damaged$/);
    expect(lines[4]).toMatch(/^fourth +- +- +- +- +- +- +damaged$/);
    expect(lines.slice(5).map((line) => line.split(': ')[0])).toEqual(['first', 'second', 'fourth']);
    expect(lines[5]).toContain(`"${runFile(workspace, 'first', 'result')}" is damaged`);
  });

  it('are compared by the settings in which they differ', async () => {
    await finish('first');
    const comparison = await compareRuns(workspace, ['second', 'first']);
    expect(comparison.differing).toEqual(['rank']);
    expect(comparison.runs.map(({ run }) => run)).toEqual(['second', 'first']);
    const lines = comparisonTable(comparison).split('\n');
    expect(lines[0]).toMatch(/^RUN +RANK +VAL +TEST +PARAMETERS +TIME +MEMORY$/);
    expect(lines[2]).toMatch(/^first +8 +90\.0 % +- +100 +1 min 23 s +200 MB$/);
    await expect(compareRuns(workspace, ['first', 'first'])).rejects.toMatchObject({ code: 'usage' });
    await expect(compareRuns(workspace, ['first', 'none'])).rejects.toMatchObject({ code: 'no-run' });
  });

  it('are gone on with under their own settings, and nothing that contradicts them', async () => {
    const request = await requestToResume(workspace, 'second', { settings: { rank: 4 } });
    expect(request).toMatchObject({ dataset: 'signs', backbone: 'vit', noTest: true, resume: 'second' });
    expect(request.settings).toMatchObject({ method: 'last', rank: 4, epochs: 30 });
    const contradicting = requestToResume(workspace, 'second', { settings: { learningRate: 1 } });
    await expect(contradicting).rejects.toMatchObject({
      code: 'usage',
      message: 'Run second has learning rate 0.001 and cannot go on with 1: leave that out, or start a new run.',
    });
    await expect(requestToResume(workspace, 'second', { settings: {}, threads: 3 })).rejects.toThrow(/threads 2/);
    const eager = requestToResume(workspace, 'second', { settings: {}, engine: 'eager' });
    await expect(eager).rejects.toThrow(/engine compiled and cannot go on with eager/);
    await expect(requestToResume(workspace, 'none', { settings: {} })).rejects.toMatchObject({ code: 'no-run' });
  });

  it('are gone on with in another step form, and with the test split unread once that was said', async () => {
    await writeConfig(workspace, { ...(await readConfig(workspace, 'first')), noTest: false });
    const told = await requestToResume(workspace, 'first', { settings: {}, stepForm: 'low-rank', noTest: true });
    expect(told).toMatchObject({ stepForm: 'low-rank', noTest: true });
    expect(await requestToResume(workspace, 'first', { settings: {} })).toMatchObject({ noTest: false });
    expect(await requestToResume(workspace, 'second', { settings: {} })).toMatchObject({ noTest: true });
  });

  it('let nothing contradict them where they were found by their settings', async () => {
    const config = await readConfig(workspace, 'first');
    const { settings } = config;
    expect(() => checkAgainstRun(config, { settings, stepForm: 'low-rank', threads: 2 })).not.toThrow();
    const usage = expect.objectContaining({ code: 'usage' }) as Error;
    expect(() => checkAgainstRun(config, { settings, threads: 1 })).toThrow(usage);
    expect(() => checkAgainstRun(config, { settings, engine: 'eager' })).toThrow(usage);
  });
});

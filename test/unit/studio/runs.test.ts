import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { comparisonTable, curves, describeResult, runTable } from '../../../src-main/cli/run-words.ts';
import { compareRuns, listRuns, removeRuns, showRun } from '../../../src-main/studio/runs.ts';
import { checkAgainstRun, requestToResume } from '../../../src-main/studio/resume.ts';
import { findRun } from '../../../src-main/training/find-run.ts';
import { appendMetrics, readConfig, runFile, writeConfig, writeResult } from '../../../src-main/training/run-folder.ts';
import { completeSettings } from '../../../src-main/training/settings.ts';
import type { SettingsChoice } from '../../../src-main/training/settings.ts';
import { isHeld, takeLock } from '../../../src-main/workspace/lock.ts';
import { Workspace } from '../../../src-main/workspace/workspace.ts';
import { someConfig } from '../training/some-config.ts';

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
  const settings = completeSettings(choice, { name: 'vit', blocks: 6, width: 192, prefix: 1 });
  const created = `2026-01-01T0${hour}:00:00.000Z`;
  await writeConfig(workspace, someConfig({ run, created, settings, threads: 2, scales: [1] }));
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
    expect(first).toMatch(/^first +signs +last +vit +90\.0 % +7 of 30 +- +100 +10 +1 min 23 s +done$/);
    expect(second).toMatch(/^second +signs +last +vit +70\.0 % +2 of 3 +- +100 +10 +- +unfinished, 3 of 30 epochs$/);
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
    expect(lines[1]).toMatch(/^first +signs +last +vit +- +- +- +100 +10 +- +damaged$/);
    expect(lines[4]).toMatch(/^fourth( +-){9} +damaged$/);
    expect(lines.slice(5).map((line) => line.split(': ')[0])).toEqual(['first', 'second', 'fourth']);
    expect(lines[5]).toContain(`"${runFile(workspace, 'first', 'result')}" is damaged`);
  });

  it('are compared by the settings in which they differ', async () => {
    await finish('first');
    const comparison = await compareRuns(workspace, ['second', 'first']);
    expect(comparison.differing).toEqual(['rank']);
    expect(comparison.runs.map(({ run }) => run)).toEqual(['second', 'first']);
    const lines = comparisonTable(comparison).split('\n');
    expect(lines[0]).toMatch(/^RUN +RANK +VAL +BEST EPOCH +TEST +PARAMETERS +HEAD +TIME +MEMORY$/);
    expect(lines[2]).toMatch(/^first +8 +90\.0 % +7 of 30 +- +100 +10 +1 min 23 s +200 MB$/);
    await expect(compareRuns(workspace, ['first', 'first'])).rejects.toMatchObject({ code: 'usage' });
    await expect(compareRuns(workspace, ['first', 'none'])).rejects.toMatchObject({ code: 'no-run' });
  });

  it('are gone on with under their own settings, and nothing that contradicts them', async () => {
    const request = await requestToResume(workspace, { resume: 'second', settings: { rank: 4 } });
    expect(request).toMatchObject({ dataset: 'signs', backbone: 'vit', noTest: true, resume: 'second' });
    expect(request.settings).toMatchObject({ method: 'last', rank: 4, epochs: 30 });
    const contradicting = requestToResume(workspace, { resume: 'second', settings: { learningRate: 1 } });
    await expect(contradicting).rejects.toMatchObject({
      code: 'usage',
      message: 'Run second has learning rate 0.001 and cannot go on with 1: leave that out, or start a new run.',
    });
    await expect(requestToResume(workspace, { resume: 'second', settings: {}, threads: 3 })).rejects.toThrow(
      /threads 2/,
    );
    const eager = requestToResume(workspace, { resume: 'second', settings: {}, engine: 'eager' });
    await expect(eager).rejects.toThrow(/engine compiled and cannot go on with eager/);
    await expect(requestToResume(workspace, { resume: 'none', settings: {} })).rejects.toMatchObject({
      code: 'no-run',
    });
  });

  it('are gone on with in another step form, and with the test split unread once that was said', async () => {
    await writeConfig(workspace, { ...(await readConfig(workspace, 'first')), noTest: false });
    const told = await requestToResume(workspace, {
      resume: 'first',
      settings: {},
      stepForm: 'low-rank',
      noTest: true,
    });
    expect(told).toMatchObject({ stepForm: 'low-rank', noTest: true });
    expect(await requestToResume(workspace, { resume: 'first', settings: {} })).toMatchObject({ noTest: false });
    expect(await requestToResume(workspace, { resume: 'second', settings: {} })).toMatchObject({ noTest: true });
  });

  it('are found without their id: the newest unfinished one of what was said', async () => {
    const newest = async (given: object) =>
      (await requestToResume(workspace, { resume: true, settings: {}, ...given })).resume;
    expect(await newest({})).toBe('second');
    expect(await newest({ settings: { rank: 8 } })).toBe('first');
    expect(await newest({ dataset: 'signs', settings: { method: 'last' } })).toBe('second');
    const none = { code: 'nothing-to-resume' };
    await expect(newest({ dataset: 'other' })).rejects.toMatchObject(none);
    await expect(newest({ backbone: 'other.onnx' })).rejects.toMatchObject(none);
    await finish('second');
    expect(await newest({})).toBe('first');
    await finish('first');
    await expect(newest({})).rejects.toMatchObject(none);
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

describe('a run', () => {
  it('is named by its id, by the beginning of one id, or as the latest', async () => {
    await writeRun('first-2', 3, { method: 'miet' });
    expect(await findRun(workspace, 'first')).toBe('first');
    expect(await findRun(workspace, 'first-')).toBe('first-2');
    expect(await findRun(workspace, 's')).toBe('second');
    expect(await findRun(workspace, 'latest')).toBe('first-2');
    expect((await showRun(workspace, 'sec')).run).toBe('second');
    expect(await requestToResume(workspace, { resume: 'sec', settings: {} })).toMatchObject({ resume: 'second' });
    expect((await compareRuns(workspace, ['latest', 'sec'])).runs.map(({ run }) => run)).toEqual(['first-2', 'second']);
    await expect(compareRuns(workspace, ['sec', 'second'])).rejects.toMatchObject({ code: 'usage' });
  });

  it('is not guessed where several begin so, or none', async () => {
    const ambiguous = findRun(workspace, '');
    await expect(ambiguous).rejects.toMatchObject({ code: 'no-run' });
    for (const number of [1, 2, 3, 4, 5, 6]) await mkdir(workspace.run(`set-${number}`));
    await expect(findRun(workspace, 'set')).rejects.toMatchObject({
      code: 'ambiguous-run',
      message:
        '"set" begins the names of 6 runs (set-1, set-2, set-3, set-4, set-5 and 1 more): write more of the one that is meant.',
    });
    await expect(findRun(workspace, 'third')).rejects.toMatchObject({ code: 'no-run' });
    await removeRuns(workspace, ['first', 'second']);
    await expect(findRun(workspace, 'latest')).rejects.toMatchObject({ code: 'no-run' });
  });

  it('is removed whole, with others or not at all, and never while it is trained', async () => {
    await writeRun('third', 3, { method: 'miet' });
    await expect(removeRuns(workspace, ['first', 'nowhere'])).rejects.toMatchObject({ code: 'no-run' });
    for (const lock of ['lock', 'trainerLock'] as const) {
      const release = await takeLock(runFile(workspace, 'second', lock));
      await expect(removeRuns(workspace, ['first', 'second'])).rejects.toMatchObject({
        code: 'busy',
        message: 'Run second is being trained: stop that first, then remove it.',
      });
      expect(await isHeld(runFile(workspace, 'first', 'lock'))).toBe(false);
      await release!();
    }
    expect(await readdir(workspace.runs)).toEqual(['first', 'second', 'third']);
    await writeFile(runFile(workspace, 'first', 'config'), '{ "half');
    expect(await removeRuns(workspace, ['fi', 'latest', 'first'])).toEqual({ removed: ['first', 'third'] });
    expect(await readdir(workspace.runs)).toEqual(['second']);
  });

  it('is held while it is removed', async () => {
    const ended = new AbortController();
    const removal = removeRuns(workspace, ['first', 'second']).finally(() => ended.abort());
    let seen = false;
    while (!ended.signal.aborted && !seen) {
      seen = await isHeld(runFile(workspace, 'second', 'lock'));
      await new Promise(setImmediate);
    }
    expect(seen).toBe(true);
    await removal;
    expect(await readdir(workspace.runs)).toEqual([]);
  });

  it('is described with the epoch that its figures are from', async () => {
    await addEpochs('first', new Array<number>(30).fill(0.9));
    await finish('first');
    const { result } = await showRun(workspace, 'first');
    expect(describeResult(result!)).toContain('val top-1 90.0 % (macro 89.0 %), best of 30 epochs: 7');
    expect(describeResult({ ...result!, test: { top1: 0.8, macro: 0.7 } })).toContain(
      'test top-1 80.0 % (macro 70.0 %), after that epoch',
    );
    expect(describeResult({ ...result!, parameters: 0 })).toContain('10 parameters, all of them in the head');
  });

  it('is drawn as curves', async () => {
    await addEpochs('first', [0.5, 0.9, 0.7]);
    const lines = curves((await showRun(workspace, 'first')).epochs).split('\n');
    expect(lines).toEqual([
      'CURVE      3 EPOCHS  FIRST TO LAST',
      'loss       █▃▁       1.0000 to 0.3333',
      'val top-1  ▁█▄       50.0 % to 70.0 %, best 90.0 % at 2',
      '1.0 s an epoch; each one is in metrics.jsonl, and in --json',
    ]);
    expect(curves([])).toBe('No epoch is done yet.');
  });
});

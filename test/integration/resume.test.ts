/** Runs that are cut off, by Ctrl-C or kill, and what --resume makes of them. */
import { execFileSync, type ChildProcess } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { readFile, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { writeOrientationSet } from '../../src-main/data/sample/orientation.ts';
import type { RunResult } from '../../src-main/training/run-folder.ts';
import { runCli, type Ended } from './cli/run-cli.ts';
import { epochsOf, hashOf, Stage } from './stage.ts';

let stage: Stage;
beforeAll(async () => {
  stage = await Stage.set();
});
afterAll(() => stage.clear());

describe('a run that is cut off', () => {
  let whole: RunResult;
  const settings = ['--method', 'last', '--epochs', '12', '--lr', '3e-3', '--drop-path', '0.1'];

  beforeAll(async () => {
    whole = await stage.train('whole', ...settings);
  });

  async function expectSame(workspace: string, resumed: RunResult): Promise<void> {
    const files = stage.runFolder(workspace, resumed.run);
    const reference = stage.runFolder('whole', whole.run);
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
    return runCli(stage.trainArgs(workspace, ...settings, ...more), {
      onStart: (child) => {
        const watch = setInterval(() => {
          if (stage.epochsDone(workspace) < epoch) return;
          clearInterval(watch);
          act(child);
        }, 20);
        child.on('close', () => clearInterval(watch));
      },
    });
  }

  it('by Ctrl-C ends with 130 and a line that says how to go on, and goes on to the same numbers', async () => {
    const stopped = await startAndAct('interrupted', 2, (child) => child.kill('SIGINT'));
    expect(stopped.code).toBe(130);
    expect(stopped.stderr).toContain('--resume');
    const [run] = readdirSync(join(stage.workspace('interrupted'), 'runs'));
    const file = join(stage.runFolder('interrupted', run!), 'seconds.json');
    const spent = z.object({ extract: z.number(), total: z.number() }).parse(JSON.parse(await readFile(file, 'utf8')));
    expect(spent.extract).toBeGreaterThan(0);
    const done = stage.epochsDone('interrupted');
    const resumed = await stage.train('interrupted', ...settings, '--resume');
    await expectSame('interrupted', resumed);
    // What the first process extracted counts, and so does all its time.
    expect(resumed.seconds.extract).toBe(spent.extract);
    const { epochs } = z
      .object({ epochs: z.array(z.object({ seconds: z.number() })) })
      .parse((await runCli(['runs', 'show', run!, '--json', '--workspace', stage.workspace('interrupted')])).json);
    const later = epochs.slice(done).reduce((sum, { seconds }) => sum + seconds, 0);
    expect(resumed.seconds.total).toBeGreaterThan(spent.total + later);
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
    await expectSame('killed', await stage.train('killed', ...settings, '--resume'));
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
    await expectSame('orphaned', await stage.train('orphaned', ...settings, '--resume'));
  });

  it('has nothing to resume when it is finished, and by its name gives its result', async () => {
    const ended = await runCli(stage.trainArgs('whole', ...settings, '--resume'));
    expect(ended.code).toBe(1);
    expect(ended.json).toMatchObject({ error: { code: 'nothing-to-resume' } });
    const byName = await runCli(stage.trainArgs('whole', ...settings, '--resume', whole.run));
    expect(byName).toMatchObject({ code: 0, json: whole });
    expect(byName.stderr).toBe(`Run ${whole.run} is done already: this is its result.\n`);
  });

  it('and whose checkpoint is cut short gets a sentence and keeps its files', async () => {
    await startAndAct('torn', 2, (child) => child.kill('SIGKILL'));
    const runs = await runCli(['runs', 'list', '--json', '--workspace', join(stage.folder, 'torn')]);
    const [{ run }] = z.object({ runs: z.tuple([z.object({ run: z.string() })]) }).parse(runs.json).runs;
    const checkpoint = join(stage.runFolder('torn', run), 'checkpoint.safetensors');
    await truncate(checkpoint, (await stat(checkpoint)).size - 100);
    const ended = await runCli(stage.trainArgs('torn', ...settings, '--resume'));
    expect(ended.code).toBe(1);
    expect(ended.json).toMatchObject({
      error: { code: 'damaged-file', message: expect.stringContaining('checkpoint.safetensors') as string },
    });
  });
});

describe('--resume', () => {
  // Far more than there is time for: it is stopped.
  const settings = ['--method', 'last', '--epochs', '1000', '--no-test'];
  let args: string[];
  let run: string;

  beforeAll(async () => {
    // Images of its own, to be changed.
    const own = join(stage.folder, 'own-hearts');
    await writeOrientationSet(own, { train: 64, val: 32, test: 16, seed: 3 });
    args = [
      'train',
      '--workspace',
      join(stage.folder, 'resume'),
      '--json',
      '--dataset',
      own,
      '--backbone',
      stage.backbone,
      '--threads',
      '1',
      ...settings,
    ];
    await runCli(args, { onStart: (child) => void stage.untilEpoch('resume', 1).then(() => child.kill('SIGKILL')) });
    run = readdirSync(join(stage.folder, 'resume', 'runs'))[0]!;
  });

  it('of a run that is being trained is refused by name, and not found without', async () => {
    let second: Ended | undefined;
    let third: Ended | undefined;
    const lines =
      (await readFile(join(stage.runFolder('resume', run), 'metrics.jsonl'), 'utf8')).split('\n').length - 1;
    const first = await runCli([...args, '--resume'], {
      onStart: (child) =>
        void stage.untilEpoch('resume', lines + 1).then(async () => {
          second = await runCli([...args, '--resume', run]);
          third = await runCli([...args, '--resume']);
          child.kill('SIGINT');
        }),
    });
    expect(second!.json).toMatchObject({ error: { code: 'busy' } });
    expect(third!.json).toMatchObject({ error: { code: 'nothing-to-resume' } });
    expect(first.code).toBe(130);
  });

  it('of a run whose images have changed is refused', async () => {
    const list = join(stage.folder, 'own-hearts', 'train800.txt');
    await writeFile(list, (await readFile(list, 'utf8')).split('\n').slice(1).join('\n'));
    const ended = await runCli([...args, '--resume', run]);
    expect(ended.json).toMatchObject({ error: { code: 'dataset-changed' } });
  });
});

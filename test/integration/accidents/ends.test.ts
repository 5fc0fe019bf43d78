/** Processes that are told to stop, die, or sleep: what they leave, and what goes on. */
import type { ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RunResult } from '../../../src-main/training/run-folder.ts';
import type { Ended } from '../cli/run-cli.ts';
import { isAlive, processesBelow, signalChild, signalTree } from './processes.ts';
import { Scene, traceOf, until } from './scene.ts';

let scene: Scene;
let whole: RunResult;
beforeAll(async () => {
  scene = await Scene.set();
  whole = await scene.train('whole');
});
afterAll(() => scene.clear());

async function expectSame(workspace: string, result: RunResult): Promise<void> {
  const run = await traceOf(join(scene.path(workspace), 'runs', result.run));
  const reference = await traceOf(join(scene.path('whole'), 'runs', whole.run));
  for (const file of ['best.safetensors', 'metrics.jsonl']) expect(run[file] === reference[file], file).toBe(true);
  expect({ loss: result.loss, val: result.val, test: result.test }).toEqual({
    loss: whole.loss,
    val: whole.val,
    test: whole.test,
  });
}

/** Trains, and once `begun` says so does something. @returns the ending, and the processes that there were */
async function disturb(
  workspace: string,
  begun: () => boolean,
  act: (child: ChildProcess) => void,
): Promise<{ ended: Ended; processes: number[] }> {
  let processes: number[] = [];
  const ended = await scene.run(workspace, scene.trainArgs(), {
    onStart: (child) =>
      void until(begun, () => child.exitCode !== null).then(() => {
        processes = processesBelow(child.pid!).map(({ pid }) => pid);
        act(child);
      }),
  });
  return { ended, processes };
}

const trains = (workspace: string) => () => scene.epochsDone(workspace) >= 2;
const extracts = (workspace: string) => () => existsSync(join(scene.path(workspace), 'features'));

describe('a training', () => {
  it.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)('stopped by %s with all its processes goes on', async (signal) => {
    await scene.copy('whole', signal, 'runs');
    const { ended, processes } = await disturb(signal, trains(signal), (child) => signalTree(child.pid!, signal));
    expect(ended.code, ended.stderr).toBe(130);
    const command = /go on with: sidetune (.*)$/.exec(ended.stderr.trimEnd())![1]!;
    expect(command).toBe(`train --resume ${scene.runs(signal)[0]} --workspace ${scene.path(signal)}`);
    await until(() => !processes.some(isAlive));
    await expectSame(signal, await scene.resume(signal, scene.runs(signal)[0]!));
  });

  it('whose trainer dies in native code says so and goes on', async () => {
    await scene.copy('whole', 'crash', 'runs');
    const { ended, processes } = await disturb('crash', trains('crash'), (child) => {
      expect(signalChild(child.pid!, 'trainer-process', 'SIGSEGV')).toBe(true);
    });
    expect(ended).toMatchObject({ code: 1, json: { error: { code: 'trainer-died' } } });
    expect(ended.stderr).toContain('ended unexpectedly (SIGSEGV)');
    await until(() => !processes.some(isAlive));
    await expectSame('crash', await scene.resume('crash', scene.runs('crash')[0]!));
  });

  it('that sleeps as a laptop does goes on by itself', async () => {
    await scene.copy('whole', 'asleep', 'features', 'runs');
    const { ended } = await disturb('asleep', extracts('asleep'), (child) => {
      const sleep = async () => {
        signalTree(child.pid!, 'SIGSTOP');
        await new Promise((resolve) => setTimeout(resolve, 2500));
        signalTree(child.pid!, 'SIGCONT');
      };
      void sleep()
        .then(() => until(trains('asleep'), () => child.exitCode !== null))
        .then(sleep);
    });
    expect(ended.code, ended.stderr).toBe(0);
    await expectSame('asleep', ended.json as RunResult);
  });
});

describe('an extraction', () => {
  it('that is stopped leaves no process and no half file', async () => {
    await scene.copy('whole', 'stopped', 'features', 'runs');
    const { ended, processes } = await disturb('stopped', extracts('stopped'), (child) => child.kill('SIGINT'));
    expect(ended.code, ended.stderr).toBe(130);
    await until(() => !processes.some(isAlive));
    const left = Object.keys(await traceOf(join(scene.path('stopped'), 'features')));
    expect(left.filter((file) => file.endsWith('.tmp'))).toEqual([]);
    await expectSame('stopped', await scene.train('stopped'));
  });

  it('whose decoder is killed starts another and gives the same features', async () => {
    await scene.copy('whole', 'undecoded', 'features', 'runs');
    let killed = false;
    const { ended } = await disturb('undecoded', extracts('undecoded'), (child) => {
      void until(
        () => (killed = signalChild(child.pid!, 'decoder-process', 'SIGKILL')),
        () => child.exitCode !== null,
      );
    });
    expect(killed).toBe(true);
    expect(ended.code, ended.stderr).toBe(0);
    const features = await traceOf(join(scene.path('undecoded'), 'features'));
    expect(features).toEqual(await traceOf(join(scene.path('whole'), 'features')));
    await expectSame('undecoded', ended.json as RunResult);
  });

  it('whose command is killed leaves no process', async () => {
    await scene.copy('whole', 'orphans', 'features', 'runs');
    const { processes } = await disturb('orphans', extracts('orphans'), (child) => child.kill('SIGKILL'));
    await until(() => !processes.some(isAlive));
  });
});

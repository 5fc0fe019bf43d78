/** The protocol over two small tasks, killed in between: what was done stays done, and test is read once for each. */
import type { ChildProcess } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { mkdtemp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { z } from 'zod';
import { writePlainVit } from '../../../src-main/backbone/plain-vit.ts';
import { writeOrientationSet } from '../../../src-main/data/sample/orientation.ts';
import { signalTree } from '../accidents/processes.ts';
import { until } from '../accidents/scene.ts';
import { runCli, type Ended } from '../cli/run-cli.ts';

const row = z.strictObject({
  task: z.string(),
  method: z.enum(['linear', 'last', 'miet']),
  top1: z.number().min(0).max(1),
  settings: z.looseObject({ method: z.string(), pool: z.string(), learningRate: z.number() }),
  seconds: z.number().positive(),
});
const fraction = z.number().min(0).max(1).nullable();
const means = z.strictObject({
  natural: fraction,
  specialized: fraction,
  structured: fraction,
  groupMean: fraction,
  taskMean: fraction,
  tasks: z.int(),
});
const vtabAnswer = z.strictObject({ tasks: z.array(row), means: z.record(z.string(), means) });

let base: string;
beforeAll(async () => {
  base = await mkdtemp(join(tmpdir(), 'vtab-'));
  for (const [index, task] of ['hearts', 'dsprites_ori'].entries())
    await writeOrientationSet(join(base, 'tasks', task), { train: 32, val: 16, test: 16, size: 24, seed: index + 1 });
  await mkdir(join(base, 'tasks', 'notes'));
  await writeFile(join(base, 'tasks', 'README.md'), 'No task.');
  await writeFile(join(base, 'vit.onnx'), writePlainVit({ size: 16, patch: 4, width: 12, blocks: 2, heads: 3 }));
  const grids = { linear: { lr: [1e-3, 1e-2], epochs: 2 }, miet: { epochs: 2, rank: 2, depth: 1 } };
  await writeFile(join(base, 'grids.json'), JSON.stringify(grids));
});
afterAll(() => rm(base, { recursive: true }));

async function vtab(more: readonly string[] = [], onStart?: (child: ChildProcess) => void): Promise<Ended> {
  const what = ['vtab', join(base, 'tasks'), '--backbone', join(base, 'vit.onnx'), '--methods', 'linear,miet'];
  const how = [
    '--parallel',
    '1',
    '--space',
    join(base, 'grids.json'),
    '--workspace',
    join(base, 'workspace'),
    '--json',
    ...more,
  ];
  const ended = await runCli([...what, ...how], { onStart });
  expect(ended.stderr + ended.stdout).not.toMatch(/\n\s+at |Internal error/);
  return ended;
}

const inWorkspace = (...parts: string[]) => join(base, 'workspace', ...parts);
const namesIn = (...parts: string[]) => (existsSync(inWorkspace(...parts)) ? readdirSync(inWorkspace(...parts)) : []);

/** When each entry with a result was written, and each trial ended. */
function ends(): Record<string, number> {
  const entries = namesIn('vtab').flatMap((entry) => {
    const path = inWorkspace('vtab', entry, 'vtab.json');
    return existsSync(path) && !readFileSync(path, 'utf8').includes('"result": null') ? [path] : [];
  });
  const trials = namesIn('sweeps').flatMap((sweep) =>
    namesIn('sweeps', sweep, 'trials').flatMap((trial) => {
      const path = inWorkspace('sweeps', sweep, 'trials', trial, 'end.json');
      return existsSync(path) ? [path] : [];
    }),
  );
  return Object.fromEntries([...entries, ...trials].map((path) => [path, statSync(path).mtimeMs]));
}

it('goes on after a kill, runs nothing again, and leaves out a folder that is no task', async () => {
  const killed = await vtab([], (child) => {
    const ended = () => child.exitCode !== null || child.signalCode !== null;
    // One entry with its one trial is done, and one of the two trials of the next.
    void until(() => Object.keys(ends()).length >= 3, ended).then(() => signalTree(child.pid!, 'SIGKILL'));
  });
  expect(killed.code).toBeNull();
  const before = ends();
  expect(Object.keys(before).length).toBeGreaterThanOrEqual(3);

  const table = join(base, 'table.csv');
  const ended = await vtab(['--out', table]);
  expect(ended.code, ended.stderr).toBe(0);
  expect(ended.stderr).toMatch(/notes" is no task and is left out: it has no train800\.txt/);
  expect(ends()).toMatchObject(before);
  const { tasks, means: found } = vtabAnswer.parse(ended.json);
  expect(tasks.map(({ task, method }) => `${task} ${method}`)).toEqual([
    'dsprites_ori linear',
    'dsprites_ori miet',
    'hearts linear',
    'hearts miet',
  ]);
  const linear = tasks.filter(({ method }) => method === 'linear').map(({ top1 }) => top1);
  expect(found.linear).toMatchObject({ natural: null, groupMean: null, tasks: 2 });
  expect(found.linear!.taskMean).toBeCloseTo((linear[0]! + linear[1]!) / 2);
  const lines = (await readFile(table, 'utf8')).trimEnd().split('\n');
  expect(lines[0]).toMatch(/^task,group,method,test_top1,val_top1,settings,trials,/);
  expect(lines[1]).toMatch(/^dsprites_ori,structured,linear,/);
  expect(lines).toHaveLength(5);

  // Of each task and method a winner and what was trained again, which alone was read on test.
  const results = namesIn('runs').map((run) =>
    z
      .looseObject({ test: z.unknown(), val: z.unknown() })
      .parse(JSON.parse(readFileSync(inWorkspace('runs', run, 'result.json'), 'utf8'))),
  );
  expect(results).toHaveLength(8);
  expect(results.filter(({ test }) => test !== null).every(({ val }) => val === null)).toBe(true);
  expect(results.filter(({ test }) => test !== null)).toHaveLength(4);

  const again = await vtab();
  expect(again.json).toEqual(ended.json);
  expect(namesIn('runs')).toHaveLength(8);
});

it('says what is wrong with a folder without tasks, methods and grids', async () => {
  const on = (folder: string, ...more: string[]) =>
    runCli(['vtab', folder, '--backbone', join(base, 'vit.onnx'), '--workspace', inWorkspace(), '--json', ...more]);
  expect(await on(join(base, 'tasks', 'notes'))).toMatchObject({ code: 1, json: { error: { code: 'no-task' } } });
  expect(await on(join(base, 'tasks'), '--methods', 'lora')).toMatchObject({
    code: 2,
    json: { error: { message: expect.stringContaining('linear, last, miet') as unknown } },
  });
});

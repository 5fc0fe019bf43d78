/** Several commands on one workspace at the same time. */
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startOf } from '../../../src-main/base/process-identity.ts';
import type { RunResult } from '../../../src-main/training/run-folder.ts';
import { Scene, traceOf, until } from './scene.ts';

let scene: Scene;
let whole: RunResult;
beforeAll(async () => {
  scene = await Scene.set();
  whole = await scene.train('whole');
});
afterAll(() => scene.clear());

describe('two commands at once', () => {
  it('train the same from nothing: both runs are right, and the features whole', async () => {
    const [one, two] = await Promise.all([scene.train('both'), scene.train('both')]);
    expect(one.run).not.toBe(two.run);
    for (const result of [one, two]) expect([result.loss, result.test]).toEqual([whole.loss, whole.test]);
    const features = await traceOf(join(scene.path('both'), 'features'));
    expect(features).toEqual(await traceOf(join(scene.path('whole'), 'features')));
  });

  it('go on with the same run: one of them is refused or comes when it is done, and the run is right', async () => {
    await scene.copy('whole', 'twice', 'runs');
    await scene.run('twice', scene.trainArgs(), {
      onStart: (child) => void until(() => scene.epochsDone('twice') >= 2).then(() => child.kill('SIGKILL')),
    });
    const args = ['train', '--resume', scene.runs('twice')[0]!];
    const endings = await Promise.all([scene.run('twice', args), scene.run('twice', args)]);
    const done = endings.filter(({ code }) => code === 0);
    expect(done).not.toEqual([]);
    for (const { json } of done) expect(json).toMatchObject({ loss: whole.loss, test: whole.test });
    const told = endings.map(({ stderr }) => stderr).join('');
    expect(told).toMatch(/is being trained by another process|is finished|is done already/);
  });

  it('import the same folder, and one removes while others read: whole or not there', async () => {
    const add = ['datasets', 'add', scene.dataset];
    await Promise.all([scene.succeed('imports', add), scene.succeed('imports', add)]);
    const show = ['datasets', 'show', 'hearts'];
    const removed = scene.succeed('imports', ['datasets', 'remove', 'hearts']);
    const shown = await Promise.all([scene.run('imports', show), scene.run('imports', show)]);
    await removed;
    for (const { code, json } of shown)
      if (code === 0) expect(json).toMatchObject({ splits: { train: 96 } });
      else expect(json).toMatchObject({ error: { code: 'no-dataset' } });
    await scene.succeed('imports', add);
  });
});

describe('a lock', () => {
  it.skipIf(startOf(process.pid) === undefined)('of a dead process whose number another has is no lock', async () => {
    await scene.copy('whole', 'recycled');
    const lock = scene.runFile('recycled', 'lock');
    await rm(scene.runFile('recycled', 'result.json'));
    await writeFile(lock, `${process.pid} ${startOf(process.pid)}`);
    expect((await scene.fail('recycled', ['train', '--resume', whole.run])).code).toBe('busy');
    await writeFile(lock, `${process.pid} 1`);
    expect((await scene.resume('recycled', whole.run)).test).toEqual(whole.test);
  });
});

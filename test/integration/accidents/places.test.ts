/** Workspaces in odd places, pictures that change after they were imported, and a clock that is set back. */
import { existsSync } from 'node:fs';
import { copyFile, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { resultSchema } from '../../../src-main/training/run-folder.ts';
import { filesBelow, Scene, traceOf } from './scene.ts';

let scene: Scene;
beforeAll(async () => {
  scene = await Scene.set({ train: 32, val: 16, test: 16 });
  await writeFile(scene.path('file'), 'mine');
});
afterAll(() => scene.clear());

const list = ['datasets', 'list'];

describe('a workspace', () => {
  it('whose place a file has is refused, and so is one in a file', async () => {
    for (const name of ['file', 'file/inside']) {
      const { code, message } = await scene.fail(name, list);
      expect(code).toBe('workspace');
      expect(message).toMatch(/file" cannot be made \(a file is|inside" cannot be made \(a file is/);
    }
    expect(await readFile(scene.path('file'), 'utf8')).toBe('mine');
  });

  it.skipIf(!existsSync('/proc/self'))('where the system takes no folders is refused', async () => {
    const { code, message } = await scene.fail('../../proc/sidetune/deep', list);
    expect(code).toBe('workspace');
    expect(message).toContain('choose another with --workspace');
  });

  it('with a file in the place of one of its folders is told', async () => {
    await mkdir(scene.path('odd'));
    await writeFile(join(scene.path('odd'), 'datasets'), '');
    const { message } = await scene.fail('odd', ['datasets', 'add', scene.dataset]);
    expect(message).toContain(join(scene.path('odd'), 'datasets'));
  });

  it('in a folder with spaces, quotes, a line break and letters of all kinds works', async () => {
    const name = 'my "work"\n größe 日本 \'x\'';
    await scene.train(name, '--epochs', '1');
    expect(scene.runs(name)).toHaveLength(1);
  });

  it('with a name that is too long, or none, is told', async () => {
    expect((await scene.fail('x'.repeat(300), list)).message).toMatch(/the path is too long/);
    const { runCli } = await import('../cli/run-cli.ts');
    const nowhere = await runCli([...list, '--json'], { env: { HOME: '', SIDETUNE_HOME: '' } });
    expect(nowhere).toMatchObject({ code: 1, json: { error: { code: 'workspace' } } });
    const empty = await runCli([...list, '--json', '--workspace', '']);
    expect(empty).toMatchObject({ code: 2, json: { error: { code: 'usage' } } });
  });
});

describe('a picture', () => {
  it('that is replaced or gone after the import is named, and its features are not believed', async () => {
    await scene.succeed('changed', ['datasets', 'add', scene.dataset]);
    const path = join(scene.dataset, 'images', 'train-00001.png');
    const other = join(scene.dataset, 'images', 'train-00002.png');
    await copyFile(path, scene.path('kept.png'));
    const before = await scene.train('changed', '--epochs', '1');
    const features = await traceOf(join(scene.path('changed'), 'features'));

    // An export compares on the pictures of val.
    const compared = join(scene.dataset, 'images', 'val-00001.png');
    await copyFile(compared, scene.path('kept-val.png'));
    await copyFile(other, compared);
    const refused = await scene.fail('changed', ['export', before.run, '--out', scene.path('out')]);
    expect(refused.code).toBe('image-changed');
    expect(refused.message).toContain(compared);
    await copyFile(scene.path('kept-val.png'), compared);

    await copyFile(other, path);
    await scene.train('changed', '--epochs', '1');
    const now = await traceOf(join(scene.path('changed'), 'features'));
    for (const [file, bytes] of Object.entries(features)) expect(now[file] === bytes, file).toBe(true);
    expect(Object.keys(now).length).toBeGreaterThan(Object.keys(features).length);

    await rm(path);
    const { json } = await scene.succeed('changed', ['datasets', 'add', scene.dataset]);
    expect(JSON.stringify(json)).toContain('train-00001.png');
    await copyFile(scene.path('kept.png'), path);
    expect((await scene.train('changed', '--epochs', '1')).loss).toBe(before.loss);
    expect((await filesBelow(scene.path('changed'))).filter((file) => file.endsWith('.tmp'))).toEqual([]);
  });
});

describe('a clock that is set back', () => {
  it('does not make a new run an old one', async () => {
    const before = await scene.train('clock', '--epochs', '1');
    const preload = scene.path('back.mjs');
    await writeFile(
      preload,
      `const Now = Date;
       const back = () => Now.now() - 40 * 86400e3;
       globalThis.Date = class extends Now {
         constructor(...given) { super(...(given.length > 0 ? given : [back()])); }
         static now() { return back(); }
       };`,
    );
    const args = scene.trainArgs('--epochs', '1', '--seed', '9');
    const after = resultSchema.parse(
      (await scene.succeed('clock', args, { env: { NODE_OPTIONS: `--import=${preload}` } })).json,
    );
    // The preload has worked: names still say what the clock says.
    expect(after.run < before.run).toBe(true);
    const { json } = await scene.succeed('clock', ['runs', 'show', 'latest']);
    expect(json).toMatchObject({ run: after.run, config: { settings: { seed: 9 } } });
  });
});

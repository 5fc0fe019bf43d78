import { access, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { writePlainVit } from '../../../src-main/backbone/plain-vit.ts';
import { runCli } from './run-cli.ts';

let base: string;
let images: string;
let vit: string;
let workspace: string;

beforeAll(async () => {
  base = await mkdtemp(join(tmpdir(), 'sidetune cli '));
  workspace = join(base, 'workspace');
  images = join(base, 'my pets');
  for (const [index, name] of ['cat', 'dog'].entries()) {
    await mkdir(join(images, name), { recursive: true });
    for (let shade = 0; shade < 5; shade++)
      await sharp({ create: { width: 8, height: 8, channels: 3, background: { r: shade * 40, g: index * 200, b: 9 } } })
        .png()
        .toFile(join(images, name, `${shade}.png`));
  }
  await writeFile(join(images, 'dog', 'torn.jpg'), 'no picture');
  vit = join(base, 'small vit.onnx');
  await writeFile(vit, writePlainVit({ size: 16, patch: 4, width: 12, blocks: 2, heads: 3 }));
});
afterAll(() => rm(base, { recursive: true }));

const cli = (...args: string[]) => runCli(['--workspace', workspace, ...args]);

describe('datasets', () => {
  it('are added, listed, shown and removed', async () => {
    const added = await cli('datasets', 'add', images, '--json');
    expect(added.code, added.stderr).toBe(0);
    const problem = { kind: 'bad-image', path: join(images, 'dog', 'torn.jpg') };
    expect(added.json).toEqual({
      name: 'my pets',
      classes: ['cat', 'dog'],
      splits: { train: 8, val: 2 },
      problems: [expect.objectContaining(problem)],
    });
    expect(added.stdout.trim().split('\n')).toHaveLength(1);
    expect(added.stderr).toContain('check images: 11/11 images');

    expect((await cli('datasets', 'list', '--json')).json).toEqual({ datasets: [added.json] });
    expect((await cli('datasets', 'show', 'my pets', '--json')).json).toMatchObject({
      name: 'my pets',
      source: images,
    });
    const words = (await cli('datasets', 'show', 'my pets')).stdout;
    expect(words).toContain('my pets: 2 classes; images: train 8, val 2');
    expect(words).toContain('torn.jpg');

    const other = await cli('datasets', 'add', join(images, 'cat', '..'), '--name', 'again', '--format', 'folder');
    expect(other.code, other.stderr).toBe(0);
    expect(other.stderr).toContain('\nIt is in the workspace already, as my pets: they share their features.\n');
    expect((await cli('datasets', 'remove', 'my pets')).stdout).toContain('its images were left as they are');
    expect((await cli('datasets', 'list')).stdout).not.toContain('my pets');
    await access(join(images, 'cat', '0.png'));
  });

  it('fail with one sentence, 1, and the error as the last line', async () => {
    const { code, json, stderr } = await cli('datasets', 'show', 'none', '--json');
    expect(code).toBe(1);
    const message = 'There is no dataset "none" in the workspace: see "sidetune datasets list".';
    expect(json).toEqual({ error: { code: 'no-dataset', message } });
    expect(stderr).toBe(`${message}\n`);
    const missing = await cli('datasets', 'add', join(base, 'nowhere'));
    expect(missing).toMatchObject({ code: 1, stdout: '' });
    expect(missing.stderr.trim().split('\n')).toHaveLength(1);
    expect(missing.stderr).toContain('nowhere');
  });
});

describe('backbones', () => {
  it('are added, listed and inspected', async () => {
    const flags = ['--fit', 'crop', '--crop-pct', '0.9', '--mean', '0.4,0.5,0.6', '--interpolation', 'bilinear'];
    const added = await cli('backbones', 'add', vit, '--name', 'small', ...flags, '--json');
    expect(added.code, added.stderr).toBe(0);
    expect(added.json).toMatchObject({
      name: 'small',
      blocks: 2,
      width: 12,
      tokens: 17,
      prefix: 1,
      taps: ['embedding', 'block0.state', 'block1.state'],
      preprocessing: { fit: 'crop', cropPct: 0.9, mean: [0.4, 0.5, 0.6], interpolation: 'bilinear', width: 16 },
    });
    expect((await cli('backbones', 'inspect', 'small', '--json')).json).toEqual(added.json);
    const embedded = expect.objectContaining({ name: 'shapes-vit-64', blocks: 6 }) as unknown;
    expect((await cli('backbones', 'list', '--json')).json).toEqual({ backbones: [added.json, embedded], damaged: [] });
    expect((await cli('backbones', 'inspect', 'small')).stdout).toMatch(/tokens +17, 1 of them prefix tokens/);
    const own = await cli('backbones', 'inspect', 'shapes-vit-64');
    expect(own.stdout).toMatch(/tokens +65, 1 of them.*made +pretrained on [\d,]+ generated pictures/s);
    const file = await cli('backbones', 'inspect', vit, '--json');
    expect(file.json).toMatchObject({ name: 'small vit', blocks: 2 });
    expect(await readdir(join(workspace, 'backbones'))).toEqual(['small']);
  });

  it('say which are the same file, where their preprocessing is from, and how large they are', async () => {
    await writeFile(
      join(base, 'preprocessor_config.json'),
      JSON.stringify({ resample: 2, size: { shortest_edge: 16 } }),
    );
    const added = await cli('backbones', 'add', vit, '--name', 'beside');
    expect(added.code, added.stderr).toBe(0);
    expect(added.stdout).toContain('16 x 16, crop 1, bilinear');
    expect(added.stdout).toContain('(from preprocessor_config.json, but for what was asked for)');
    const again = await cli('backbones', 'add', vit, '--name', 'beside too', '--json');
    expect(again.json).toMatchObject({ sameAs: ['beside'], preprocessingFrom: 'preprocessor_config.json' });
    expect(again.stderr).toBe('It is the same file as beside, prepared alike: they share their features.\n');
    expect((await cli('backbones', 'list')).stdout).toMatch(/^beside +2 +12 +17 +[\d,]+ +16 x 16 +[\d.]+ kB$/im);
    await rm(join(base, 'preprocessor_config.json'));
    for (const name of ['beside', 'beside too']) {
      const removed = await cli('backbones', 'remove', name, '--json');
      expect(removed).toMatchObject({ code: 0, json: { name, removed: true } });
    }
    const gone = await cli('backbones', 'remove', 'beside', '--json');
    expect(gone).toMatchObject({ code: 1, json: { error: { code: 'unknown-backbone' } } });
    await access(vit);
  });

  it('are listed with those that are damaged', async () => {
    const broken = join(workspace, 'backbones', 'broken');
    await mkdir(broken, { recursive: true });
    await writeFile(join(broken, 'backbone.json'), '{ "half');
    const { code, json, stderr } = await cli('backbones', 'list', '--json');
    expect(code, stderr).toBe(0);
    const damaged = { name: 'broken', message: expect.stringContaining('is damaged') as string };
    const whole = ['small', 'shapes-vit-64'].map((name) => expect.objectContaining({ name }) as unknown);
    expect(json).toEqual({ backbones: whole, damaged: [damaged] });
    const words = (await cli('backbones', 'list')).stdout;
    expect(words).toMatch(/^broken +- +- +- +- +damaged +-$/m);
    expect(words).toMatch(/^broken: .*is damaged/m);
    await rm(broken, { recursive: true });
  });

  it('say what is wrong with a file or a flag', async () => {
    const text = join(base, 'text.onnx');
    await writeFile(text, 'Once upon a time');
    expect(await cli('backbones', 'add', text, '--json')).toMatchObject({
      code: 1,
      json: { error: { code: 'backbone-not-onnx' } },
    });
    const wrong = await cli('backbones', 'add', vit, '--crop-pct', '2', '--json');
    const message = '--crop-pct takes a number above 0 and at most 1, not "2".';
    expect(wrong).toMatchObject({ code: 2, json: { error: { code: 'usage', message } } });
    expect(wrong.stderr).toBe(`${message}\n`);
    expect(await cli('backbones', 'inspect', 'nobody')).toMatchObject({ code: 1, stdout: '' });
  });
});

describe('runs', () => {
  it('has none to list in a new workspace, and says so of a run that is not there', async () => {
    expect((await cli('runs', 'list', '--json')).json).toEqual({ runs: [] });
    expect(await cli('runs', 'show', 'x', '--json')).toMatchObject({ code: 1, json: { error: { code: 'no-run' } } });
    expect(await cli('runs', 'compare', 'x', '--json')).toMatchObject({ code: 2, json: { error: { code: 'usage' } } });
  });
});

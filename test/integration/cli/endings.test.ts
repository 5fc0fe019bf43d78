import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { writePlainVit } from '../../../src-main/backbone/plain-vit.ts';
import { writeOrientationSet } from '../../../src-main/data/sample/orientation.ts';
import { runCli } from './run-cli.ts';

let base: string;
let workspace: string;
beforeEach(async () => {
  base = await mkdtemp(join(tmpdir(), 'sidetune-endings-'));
  workspace = join(base, 'workspace');
});
afterEach(() => rm(base, { recursive: true }));

describe('Ctrl-C', () => {
  it.each(['SIGINT', 'SIGTERM'] as const)('%s stops a training with 130 and says how to go on', async (signal) => {
    const images = join(base, 'images');
    await writeOrientationSet(images, { train: 32, val: 16, test: 0, size: 24 });
    const vit = join(base, 'vit.onnx');
    await writeFile(vit, writePlainVit({ size: 16, patch: 4, width: 12, blocks: 2, heads: 3 }));
    const args = [
      'train',
      '--dataset',
      images,
      '--backbone',
      vit,
      '--method',
      'linear',
      '--epochs',
      '100000',
      '--json',
    ];
    const ended = await runCli(['--workspace', workspace, ...args], {
      onStart: (child) => {
        const wait = setInterval(() => {
          void newestMetrics().then((metrics) => {
            if (metrics === undefined || !existsSync(metrics)) return;
            clearInterval(wait);
            setTimeout(() => child.kill(signal), 500);
          });
        }, 100);
        child.on('exit', () => clearInterval(wait));
      },
    });
    expect(ended.code, ended.stderr).toBe(130);
    const message = 'Interrupted: the same command with --resume goes on after the last finished epoch.';
    expect(ended.json).toEqual({ error: { code: 'interrupted', message } });
    expect(ended.stderr.trim().split('\n').slice(-2)).toEqual(['Stopping; once more ends at once.', message]);
    const { json } = await runCli(['--workspace', workspace, 'runs', 'list', '--json']);
    expect(json).toMatchObject({ runs: [{ state: 'unfinished', method: 'linear', test: null }] });
  });

  async function newestMetrics(): Promise<string | undefined> {
    const [run] = await readdir(join(workspace, 'runs')).catch(() => []);
    return run === undefined ? undefined : join(workspace, 'runs', run, 'metrics.jsonl');
  }
});

describe('an error that is nobody’s wish', () => {
  it('is one line, with the stack in a log of the workspace', async () => {
    const entry = join(workspace, 'datasets', 'odd');
    // Where a file belongs there is a folder: the system's own error comes through.
    await mkdir(join(entry, 'images.jsonl'), { recursive: true });
    const record = { version: 1, name: 'odd', source: base, format: 'folder', classes: ['a'], images: 0, splits: {} };
    await writeFile(join(entry, 'dataset.json'), JSON.stringify({ ...record, problems: [] }));
    const ended = await runCli(['datasets', 'show', 'odd', '--workspace', workspace, '--json']);
    expect(ended.code).toBe(1);
    expect(ended.stderr.trim().split('\n')).toHaveLength(1);
    expect(ended.stderr).toMatch(/^Internal error: EISDIR/);
    expect(ended.json).toEqual({ error: { code: 'internal', message: ended.stderr.trim() } });
    const [log] = await readdir(join(workspace, 'logs'));
    expect(ended.stderr).toContain(join(workspace, 'logs', log ?? ''));
    expect(await readFile(join(workspace, 'logs', log ?? ''), 'utf8')).toMatch(/Error: EISDIR[\s\S]+ at /);
  });
});

describe('output', () => {
  it('into a pipe that closes early is no error', async () => {
    const launcher = resolve(import.meta.dirname, '../../../src-main/cli/sidetune.mjs');
    const code = await new Promise((done) => {
      const child = spawn(process.execPath, [launcher, '--workspace', workspace, 'datasets', 'list']);
      child.stdout.destroy();
      let stderr = '';
      child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
      child.on('close', (exit) => done([exit, stderr]));
    });
    expect(code).toEqual([0, '']);
  });
});

describe('doctor', () => {
  it('tries engines and devices, and gives a reason for each that does not work', async () => {
    const { code, json, stderr } = await runCli(['doctor', '--workspace', workspace, '--json']);
    expect(code, stderr).toBe(0);
    const { engines, devices } = json as {
      engines: Record<string, { works: boolean; why?: string; version?: string; backend?: string }>;
      devices: Record<string, { works: boolean; why?: string }>;
    };
    expect(engines.compiled).toMatchObject({ works: true, version: expect.stringMatching(/^\d+\./) as string });
    expect(engines.eager).toMatchObject({ works: true, backend: 'cpu', why: expect.any(String) as string });
    expect(devices.cpu).toEqual({ works: true });
    expect(Object.keys(devices)).toContain('webgpu');
    for (const device of Object.values(devices)) if (!device.works) expect(device.why).toMatch(/\w/);
  });
});

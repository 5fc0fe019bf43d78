import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, open, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
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

/** The flags of a training on a few small pictures. */
async function smallTraining(epochs: number): Promise<string[]> {
  const images = join(base, 'images');
  await writeOrientationSet(images, { train: 32, val: 16, test: 0, size: 24 });
  const vit = join(base, 'vit.onnx');
  await writeFile(vit, writePlainVit({ size: 16, patch: 4, width: 12, blocks: 2, heads: 3 }));
  const data = ['--dataset', images, '--backbone', vit];
  return ['train', ...data, '--method', 'linear', '--epochs', String(epochs), '--json'];
}

/** Environment in which the command, and no helper of its own, runs a line of code once it has trained an epoch. */
async function onceTraining(code: string): Promise<NodeJS.ProcessEnv> {
  const file = join(base, 'preloaded.mjs');
  await writeFile(
    file,
    `import { existsSync, readdirSync } from 'node:fs';
import { isMainThread } from 'node:worker_threads';
const runs = ${JSON.stringify(join(workspace, 'runs'))};
const trains = () => existsSync(runs) && readdirSync(runs).some((run) => existsSync(runs + '/' + run + '/metrics.jsonl'));
if (isMainThread && process.argv[1]?.endsWith('sidetune.mjs')) {
  const wait = setInterval(() => {
    if (!trains()) return;
    clearInterval(wait);
    ${code}
  }, 50);
  wait.unref();
}
`,
  );
  return { NODE_OPTIONS: `--import=${pathToFileURL(file).href}` };
}

describe('Ctrl-C', () => {
  it.each(['SIGINT', 'SIGTERM'] as const)('%s stops a training with 130 and says how to go on', async (signal) => {
    const args = await smallTraining(100_000);
    const ended = await runCli(['--workspace', workspace, ...args], {
      onStart: (child) => {
        let said = '';
        const listen = (chunk: Buffer) => {
          said += chunk.toString();
          if (!/epoch \d+\/100000/.test(said)) return;
          // It knows of an epoch; a second signal would end it without a word.
          child.stderr?.off('data', listen);
          child.kill(signal);
        };
        child.stderr?.on('data', listen);
      },
    });
    expect(ended.code, ended.stderr).toBe(130);
    const message = ended.stderr.trim().split('\n').at(-1)!;
    expect(ended.json).toEqual({ error: { code: 'interrupted', message } });
    expect(ended.stderr).toContain('Stopping; once more ends at once.\n');
    const { json } = await runCli(['--workspace', workspace, 'runs', 'list', '--json']);
    expect(json).toMatchObject({ runs: [{ state: 'unfinished', method: 'linear', test: null }] });
    const [run] = await readdir(join(workspace, 'runs'));
    expect(message).toMatch(/^Interrupted after epoch \d+ of 100000; go on with: /);
    expect(message).toContain(`: sidetune train --resume ${run} --workspace ${workspace}`);
  });
});

describe('an error that is nobody’s wish', () => {
  it('stops what runs, is one line and one JSON object, with the stack in a log of the workspace', async () => {
    const env = await onceTraining(`setTimeout(() => { throw new Error('out of the blue'); });
    setTimeout(() => { throw new Error('a consequence'); }, 1);`);
    const ended = await runCli([`--workspace=${workspace}`, ...(await smallTraining(100_000))], { env });
    expect(ended.code, ended.stderr).toBe(1);
    const message = ended.stderr.trim().split('\n').at(-1) ?? '';
    expect(message).toMatch(/^Internal error: out of the blue/);
    expect(ended.stdout).toBe(`${JSON.stringify({ error: { code: 'internal', message } })}\n`);
    const logs = await readdir(join(workspace, 'logs'));
    expect(logs).toHaveLength(1);
    expect(message).toContain(join(workspace, 'logs', logs[0]!));
    expect(await readFile(join(workspace, 'logs', logs[0]!), 'utf8')).toMatch(/Error: out of the blue[\s\S]+ at /);
    // What the task holds while it trains, it has given back.
    const [run] = await readdir(join(workspace, 'runs'));
    expect(await readdir(join(workspace, 'runs', run!))).not.toContain('lock');
  });
});

describe('a damaged dataset', () => {
  it('is told in a sentence', async () => {
    await mkdir(join(workspace, 'datasets', 'odd'), { recursive: true });
    await writeFile(join(workspace, 'datasets', 'odd', 'dataset.json'), '{ "half');
    const ended = await runCli(['datasets', 'show', 'odd', '--workspace', workspace, '--json']);
    const message = expect.stringContaining('is damaged: remove the dataset "odd" and add it again.') as string;
    expect(ended).toMatchObject({ code: 1, json: { error: { code: 'damaged-file', message } } });
  });
});

describe('output', () => {
  it('into a pipe that closes early is no error', async () => {
    const ended = await runCli(['--workspace', workspace, 'datasets', 'list'], {
      onStart: (child) => child.stdout?.destroy(),
    });
    expect(ended).toMatchObject({ code: 0, stderr: '' });
  });

  it('that nobody reads any more stops a task', async () => {
    const env = await onceTraining(`process.stdout.write('half a line');`);
    const ended = await runCli(['--workspace', workspace, ...(await smallTraining(100_000))], {
      env,
      onStart: (child) => child.stdout?.destroy(),
    });
    expect(ended.code, ended.stderr).toBe(1);
    expect(ended.stderr.trim().split('\n').at(-1)).toBe(
      'Whatever read the output of this command has gone, so it was stopped.',
    );
  });

  it('goes on without progress where nobody reads that', async () => {
    const ended = await runCli(['--workspace', workspace, ...(await smallTraining(3))], {
      onStart: (child) => child.stderr?.destroy(),
    });
    expect(ended).toMatchObject({ code: 0, json: { epochs: 3 } });
  });

  it.skipIf(!existsSync('/dev/full'))('that cannot be written is an error', async () => {
    const disk = await open('/dev/full', 'w');
    try {
      const ended = await runCli(['--workspace', workspace, 'datasets', 'list'], { stdout: disk.fd });
      expect(ended.code).toBe(1);
      expect(ended.stderr).toMatch(/^The output cannot be written \(.*ENOSPC.*\): write it to another place\.\n$/);
    } finally {
      await disk.close();
    }
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
    expect(engines.eager).toMatchObject({ works: true, version: expect.any(String) as string });
    // Either the native library, or a reason.
    const { backend, why } = engines.eager!;
    if (backend !== 'tensorflow')
      expect({ backend, why }).toEqual({ backend: 'cpu', why: expect.any(String) as string });
    else expect(why).toBeUndefined();
    expect(devices.cpu).toEqual({ works: true });
    expect(Object.keys(devices)).toContain('webgpu');
    for (const device of Object.values(devices)) if (!device.works) expect(device.why).toMatch(/\w/);
  });
});

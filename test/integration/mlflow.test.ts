/** Sweeps in MLflow: a real server over SQLite where a Python has it, and what is said where there is none. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { writePlainVit } from '../../src-main/backbone/plain-vit.ts';
import { writeOrientationSet } from '../../src-main/data/sample/orientation.ts';
import { addBackbone } from '../../src-main/studio/backbones.ts';
import { addDataset } from '../../src-main/studio/datasets/datasets.ts';
import { MlflowClient } from '../../src-main/studio/mlflow/client.ts';
import { exportToMlflow } from '../../src-main/studio/mlflow/export-sweep.ts';
import { Studio } from '../../src-main/studio/service/studio.ts';
import type { Job } from '../../src-main/studio/service/events.ts';
import { resumeSweep, startSweep, type SweepAnswer } from '../../src-main/studio/sweeps/run-sweep.ts';
import { Workspace } from '../../src-main/workspace/workspace.ts';

const hasMlflow = (python: string) =>
  spawnSync(python, ['-c', 'import importlib.util, sys; sys.exit(importlib.util.find_spec("mlflow") is None)'])
    .status === 0;
const python = [process.env.SIDETUNE_PYTHON, 'python3'].find(
  (candidate) => candidate !== undefined && hasMlflow(candidate),
);
if (!python) console.warn("SKIPPED: no Python with 'mlflow'; set SIDETUNE_PYTHON");

const EPOCHS = 3;
let folder: string;
let workspace: Workspace;
let whole: SweepAnswer;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mlflow-'));
  workspace = await Workspace.open(join(folder, 'workspace'));
  await writeOrientationSet(join(folder, 'hearts'), { train: 32, val: 16, test: 16, size: 32, seed: 2 });
  await writeFile(join(folder, 'vit.onnx'), writePlainVit({ size: 16, patch: 4, width: 12, blocks: 2, heads: 3 }));
  await addDataset(workspace, { path: join(folder, 'hearts') });
  await addBackbone(workspace, { file: join(folder, 'vit.onnx') });
  const space = { method: 'linear', learningRate: [1e-3, 3e-3, 1e-2], epochs: EPOCHS };
  whole = await startSweep(workspace, { dataset: 'hearts', backbone: 'vit', space, sampler: 'random', trials: 2 });
});
afterAll(() => rm(folder, { recursive: true }));

/** The job by which the window sends a sweep, once it is over. */
async function sentByWindow(uri: string): Promise<Job> {
  const studio = await Studio.open(workspace);
  try {
    const over = new Promise<Job>((resolve) =>
      studio.subscribe((event) => event.type === 'job' && event.job.ended !== null && resolve(event.job)),
    );
    expect(await studio.answer('sweeps.mlflow', { sweep: whole.sweep, uri })).toMatchObject({ ok: true });
    const job = await over;
    expect(await studio.answer('preferences.show', {})).toMatchObject({ reply: { mlflow: uri } });
    return job;
  } finally {
    await studio.close();
  }
}

describe('says in one sentence', () => {
  const exported = (uri: string) => exportToMlflow(workspace, 'latest', uri);

  async function answering(status: number, type: string, body: string): Promise<[Server, string]> {
    const server = createServer((_, response) => response.writeHead(status, { 'content-type': type }).end(body));
    await once(server.listen(0, '127.0.0.1'), 'listening');
    return [server, `http://127.0.0.1:${(server.address() as AddressInfo).port}`];
  }

  it('that an address is none, or that nobody is there', async () => {
    await expect(exported('sqlite:///mlflow.db')).rejects.toMatchObject({
      code: 'usage',
      message: /is not the address/,
    });
    await expect(exported('http://me:word@127.0.0.1:5000')).rejects.toMatchObject({
      code: 'usage',
      message: /^Leave user and password out/,
    });
    const [server, uri] = await answering(200, 'text/html', '');
    server.close();
    await once(server, 'close');
    const sentence = /^The MLflow server at \S+ does not answer \(ECONNREFUSED\): [^.]+\.$/;
    await expect(exported(uri)).rejects.toMatchObject({
      code: 'mlflow',
      message: expect.stringMatching(sentence) as string,
    });
    expect(await sentByWindow(uri)).toMatchObject({
      state: 'failed',
      error: { message: expect.stringMatching(sentence) as string },
    });
  });

  it.each([
    [404, 'text/html', '<h1>Not here</h1>', /does not speak as an MLflow server does \(status 404/],
    [200, 'application/json', '{"ok":true}', /does not speak as an MLflow server does \(status 200/],
    [401, 'text/plain', 'You are not authenticated.', /set MLFLOW_TRACKING_USERNAME/],
    [
      500,
      'application/json',
      '{"error_code":"INTERNAL_ERROR","message":"The disk is full.\\n  File \\"store.py\\""}',
      /refused experiments\/get-by-name: INTERNAL_ERROR, The disk is full\.$/,
    ],
  ])('what is wrong with an answer of %i, %s', async (status, type, body, sentence) => {
    const [server, uri] = await answering(status, type, body);
    await expect(exported(uri)).rejects.toMatchObject({ code: 'mlflow', message: sentence });
    server.close();
  });
});

describe.skipIf(!python)('a real server', () => {
  let server: ChildProcess;
  let uri: string;
  beforeAll(async () => {
    const port = await freePort();
    uri = `http://127.0.0.1:${port}`;
    const store = `sqlite:///${join(folder, 'mlflow.db')}`;
    const where = ['--host', '127.0.0.1', '--port', String(port), '--workers', '1'];
    // A group of its own: what it starts is ended with it.
    server = spawn(python!, ['-m', 'mlflow', 'server', '--backend-store-uri', store, ...where], {
      cwd: folder,
      stdio: 'ignore',
      detached: true,
    });
    while (
      !(await fetch(`${uri}/health`).then(
        ({ ok }) => ok,
        () => false,
      ))
    ) {
      expect(server.exitCode).toBeNull();
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  });
  afterAll(async () => {
    process.kill(-server.pid!, 'SIGTERM');
    if (server.exitCode === null) await once(server, 'exit');
  });

  async function historyOf(run: string, key: string) {
    const asked = await fetch(`${uri}/api/2.0/mlflow/metrics/get-history?run_id=${run}&metric_key=${key}`);
    const point = z.object({ value: z.number(), step: z.number(), timestamp: z.number() });
    return z.object({ metrics: z.array(point).default([]) }).parse(await asked.json()).metrics;
  }

  it('has the sweep and its trials, whole, and each thing once however often it is written', async () => {
    const first = await exportToMlflow(workspace, 'latest', uri);
    expect(first).toMatchObject({ sweep: whole.sweep, trials: 2, written: 2 });
    expect(await exportToMlflow(workspace, 'latest', uri)).toEqual({ ...first, written: 0 });
    const more = await resumeSweep(workspace, whole.sweep, { trials: 3 });
    expect(await exportToMlflow(workspace, 'latest', uri)).toEqual({ ...first, trials: 3, written: 1 });

    expect(await sentByWindow(uri)).toMatchObject({ state: 'done', result: { ...first, trials: 3, written: 0 } });

    const client = new MlflowClient(uri);
    const runs = await client.runsWith(await client.experiment('sidetune'), 'sidetune.sweep', whole.sweep);
    expect(runs).toHaveLength(4);
    const parent = runs.find(({ id }) => id === first.run)!;
    expect(parent).toMatchObject({ status: 'FINISHED', metrics: { test_top1: more.best!.test!.top1, trials: 3 } });
    expect(await historyOf(parent.id, 'best_trial')).toHaveLength(1);
    for (const { trial, val, bestEpoch, parameters } of more.trials) {
      const run = runs.find(({ tags }) => tags['sidetune.trial'] === String(trial))!;
      expect(run).toMatchObject({
        status: 'FINISHED',
        tags: { 'mlflow.parentRunId': parent.id, 'mlflow.runName': `trial ${trial}` },
        metrics: { best_val_top1: val!.top1, best_epoch: bestEpoch, parameters },
      });
      const history = await historyOf(run.id, 'val_top1');
      expect(history.map(({ step }) => step)).toEqual([1, 2, 3]);
      expect(Math.max(...history.map(({ value }) => value))).toBe(val!.top1);
      const times = history.map(({ timestamp }) => timestamp);
      expect(times).toEqual(times.toSorted((a, b) => a - b));
    }
  });
});

async function freePort(): Promise<number> {
  const probe = createServer();
  await once(probe.listen(0, '127.0.0.1'), 'listening');
  const { port } = probe.address() as AddressInfo;
  probe.close();
  await once(probe, 'close');
  return port;
}

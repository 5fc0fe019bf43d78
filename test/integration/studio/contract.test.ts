/** One suite over both transports: whatever the window can ask, it can ask in the desktop app and in a browser. */
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import WebSocket from 'ws';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { serveOnPort, type Port } from '../../../src-main/electron/port.ts';
import { startHost } from '../../../src-main/host/serve.ts';
import { callNames } from '../../../src-main/studio/service/calls.ts';
import type { StudioClient } from '../../../src-main/studio/service/client.ts';
import type { Job, StudioEvent } from '../../../src-main/studio/service/events.ts';
import { predict } from '../../../src-main/studio/predict.ts';
import { Studio } from '../../../src-main/studio/service/studio.ts';
import { Workspace } from '../../../src-main/workspace/workspace.ts';
import { HttpClient } from '../../../src-renderer/studio/http-client.ts';
import { PortClient } from '../../../src-renderer/studio/port-client.ts';
import { Stage } from '../stage.ts';

interface Opened {
  client: StudioClient;
  close(): Promise<void>;
}

const transports: Record<string, (studio: Studio) => Promise<Opened>> = {
  'HTTP and WebSocket': async (studio) => {
    const host = await startHost({ studio, pages: new Map(), port: 0 });
    const headers = { authorization: `Bearer ${host.token}` };
    let connected: () => void;
    const connection = new Promise<void>((resolve) => (connected = resolve));
    const client = new HttpClient({
      origin: `http://127.0.0.1:${host.port}`,
      fetch: (url, init) =>
        fetch(url, { ...init, headers: { ...headers, ...(init?.headers as Record<string, string>) } }),
      openSocket: (url) => new WebSocket(url, { headers }) as unknown as globalThis.WebSocket,
      onConnection: () => connected(),
    });
    await connection;
    return {
      client,
      close: async () => {
        client.close();
        await host.close();
      },
    };
  },
  'a message port': async (studio) => {
    const { port1, port2 } = new MessageChannel();
    const wrapped = (port: MessagePort): Port => ({
      post: (message) => port.postMessage(message),
      listen: (listener) => port.on('message', listener),
    });
    const stop = serveOnPort(studio, wrapped(port1));
    return {
      client: new PortClient(port2 as unknown as globalThis.MessagePort),
      close: async () => {
        stop();
        port1.close();
      },
    };
  },
};

describe.each(Object.keys(transports))('the studio over %s', (name) => {
  let stage: Stage;
  let studio: Studio;
  let opened: Opened;
  const events: StudioEvent[] = [];

  beforeAll(async () => {
    stage = await Stage.set();
    studio = await Studio.open(await Workspace.open(stage.workspace('studio')));
    opened = await transports[name]!(studio);
    opened.client.subscribe((event) => events.push(event));
  });
  afterAll(async () => {
    await opened.close();
    await studio.close();
    await stage.clear();
  });

  /** The job when it is over, as events told it. */
  async function over(job: Job): Promise<Job> {
    for (;;) {
      const last = events.findLast((event) => event.type === 'job' && event.job.id === job.id);
      if (last?.type === 'job' && last.job.ended !== null) return last.job;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  it('carries every call of the contract', async () => {
    for (const call of callNames) {
      // A request that no schema takes: it has to come back as such, and not as unknown.
      const answer = opened.client.call(call, 'nothing of the kind' as never);
      await expect(answer, call).rejects.toMatchObject({ code: 'bad-request' });
    }
    await expect(opened.client.call('files.read' as never, {} as never)).rejects.toMatchObject({
      code: 'unknown-call',
    });
    await expect(opened.client.call('constructor' as never, {} as never)).rejects.toMatchObject({
      code: 'unknown-call',
    });
  });

  it('takes a folder and a ViT to a trained, evaluated and exported run', async () => {
    const { client } = opened;
    const imported = await over(await client.call('datasets.add', { path: stage.dataset, name: 'hearts' }));
    expect(imported).toMatchObject({ state: 'done', error: null, result: { name: 'hearts' } });
    const added = await over(await client.call('backbones.add', { file: stage.backbone, name: 'small' }));
    expect(added).toMatchObject({ state: 'done', result: { name: 'small', blocks: 4 } });
    const page = await client.call('datasets.images', { name: 'hearts', split: 'val', limit: 3 });
    expect(page.images).toHaveLength(3);
    expect(page.images.every(({ split }) => split === 'val')).toBe(true);

    const settings = { method: 'last', epochs: 2 } as const;
    const trained = await over(
      await client.call('train.start', { dataset: 'hearts', backbone: 'small', settings, threads: 1 }),
    );
    expect(trained.state, JSON.stringify(trained.error)).toBe('done');
    const run = trained.run!;
    expect(events.filter((event) => event.type === 'epoch').map(({ run: of, metrics }) => [of, metrics.epoch])).toEqual(
      [
        [run, 1],
        [run, 2],
      ],
    );
    // Of 160 images, whole ones.
    for (const event of events)
      if (event.type === 'epoch') {
        expect(event.metrics.top1).toBeGreaterThan(0);
        const correct = 160 * event.metrics.top1!;
        expect(Math.abs(correct - Math.round(correct))).toBeLessThan(1e-9);
      }
    const pace = events.find((event) => event.type === 'pace');
    expect(pace).toMatchObject({ run, total: 320 });
    expect(pace!.rssBytes).toBeGreaterThan(5e7);
    expect((await client.call('runs.show', { run })).epochs).toHaveLength(2);
    const evaluated = await over(await client.call('runs.evaluate', { run }));
    expect(evaluated.result).toMatchObject({ run, split: 'test', images: 64 });
    const exported = await over(await client.call('runs.export', { run, form: 'adaptor' }));
    expect(exported, JSON.stringify(exported.error)).toMatchObject({ state: 'done', result: { run } });

    // The same picture as a file and as bytes, under a name of all sorts: the same answer.
    const folder = join(stage.dataset, 'images');
    const [file] = await readdir(folder);
    const bytes = new Uint8Array(await readFile(join(folder, file!)));
    const tried = await client.call('runs.predict', { run, name: 'à "b"?&.png', bytes });
    const { predictions } = await predict(studio.workspace, { run, images: [join(folder, file!)] });
    const probability = expect.closeTo(tried.top[0]!.probability, 3) as number;
    expect(tried.top).toHaveLength(5);
    expect(predictions).toMatchObject([
      { label: tried.label, top: [{ label: tried.label, probability }, {}, {}, {}, {}] },
    ]);
    expect(tried.seconds.vit).toBeGreaterThan(0);
    const bad = client.call('runs.predict', { run, name: 'note.txt', bytes: new TextEncoder().encode('no picture') });
    await expect(bad).rejects.toMatchObject({
      code: 'image',
      message: '"note.txt" cannot be read as an image: its content is not that of a supported image format.',
    });
  });

  it('tells of a run what it was, what it took for what, where it looks, and takes it away and back', async () => {
    const { client } = opened;
    const { run } = (await client.call('runs.list', {}))[0]!;
    const log = await client.call('runs.log', { run });
    expect(log.map(({ kind }) => kind)).not.toContain('error');
    expect(log.at(-1)!.sentence).toMatch(/^Done: the best of 2 epochs is [12]\.$/);
    const shown = await client.call('runs.show', { run });
    expect(shown.images).toEqual({ train: 160, val: 48, test: 64 });
    expect(shown.lora!.total).toBeGreaterThan(shown.lora!.activations);

    const { evaluation, current, pictures } = (await client.call('runs.evaluation', { run }))!;
    expect({ split: evaluation.split, current, pictures }).toEqual({ split: 'test', current: true, pictures: true });
    expect(await client.call('runs.evaluation', { run, split: 'val' })).toBeNull();
    // Every cell of the matrix has as many pictures as it says, of its class, in the split.
    const listed = await client.call('datasets.images', { name: 'hearts', split: 'test', limit: 1000 });
    const labels = new Map(listed.images.map(({ index, label }) => [index, label]));
    const [label, row] = [...evaluation.confusion.entries()].find(([i, cells]) =>
      cells.some((n, j) => n > 0 && i !== j),
    )!;
    const taken = row.findIndex((cell, j) => cell > 0 && j !== label);
    const cell = await client.call('runs.predicted', { run, split: 'test', label, predicted: taken });
    expect(cell.total).toBe(row[taken]);
    expect(cell.images.every((image) => labels.get(image.index) === label && image.own < image.confidence)).toBe(true);
    const mistakes = await client.call('runs.predicted', { run, split: 'test', mistakes: true, limit: 1000 });
    expect(mistakes.total).toBe(Math.round((1 - evaluation.top1) * 64));
    expect(mistakes.images).toEqual(mistakes.images.toSorted((a, b) => b.confidence - a.confidence));
    await expect(client.call('runs.predicted', { run, split: 'train' })).rejects.toMatchObject({
      code: 'not-evaluated',
    });

    const [worst] = mistakes.images;
    const attention = await client.call('runs.attention', { run, image: worst!.index });
    expect(attention.modules.map(({ map }) => map)).toEqual(['P1_1', 'P1_2', 'P1_3', 'P1_4']);
    for (const { prefix, patches } of [...attention.modules, attention.rollout]) {
      expect(patches).toHaveLength(attention.grid.rows * attention.grid.columns);
      expect(patches.reduce((sum, share) => sum + share, prefix)).toBeCloseTo(1, 4);
    }
    expect(attention.probabilities[worst!.predicted]).toBeCloseTo(worst!.confidence, 2);
    expect(Buffer.from(attention.picture.png, 'base64').toString('latin1', 1, 4)).toBe('PNG');

    const [kept] = await client.call('runs.exports', { run });
    expect(kept!.files.map((file) => file.name)).toContain('adaptor.onnx');
    expect(kept!.card).toContain('## adaptor.onnx');

    await client.call('runs.note', { run, note: '  the first\n one ' });
    expect(await client.call('runs.list', {})).toMatchObject([{ run, note: 'the first one' }]);
    await client.call('runs.remove', { runs: [run] });
    expect(await client.call('runs.list', {})).toEqual([]);
    await client.call('runs.restore', { runs: [run] });
    expect(await client.call('runs.list', {})).toMatchObject([{ run, note: 'the first one', state: 'done' }]);
    await expect(client.call('runs.restore', { runs: [run] })).rejects.toMatchObject({ code: 'no-run' });
  });

  it('says why a job failed, in a sentence', async () => {
    const file = join(stage.folder, 'no.onnx');
    await writeFile(file, 'no model');
    const failed = await over(await opened.client.call('backbones.add', { file }));
    expect(failed.state).toBe('failed');
    expect(failed.error!.message).toContain('no.onnx');
    expect(failed.error!.message).not.toContain('\n');
  });

  it('stops a job for good, and pauses one so that it goes on where it was', async () => {
    const { client } = opened;
    const settings = { method: 'linear', epochs: 150 } as const;
    const request = { dataset: 'hearts', backbone: 'small', settings, threads: 1 };
    const job = await client.call('train.start', request);
    const epochOf = () =>
      events.filter((event) => event.type === 'job' && event.job.id === job.id && event.job.run).length;
    while (epochOf() < 3) await new Promise((resolve) => setTimeout(resolve, 10));
    await client.call('jobs.pause', { id: job.id });
    const paused = await over(job);
    expect(paused.state).toBe('paused');
    const before = (await client.call('runs.show', { run: paused.run! })).epochs.length;
    events.length = 0;
    await client.call('jobs.resume', { id: job.id });
    const done = await over(job);
    expect(done).toMatchObject({ state: 'done', run: paused.run, result: { epochs: 150 } });
    expect(before).toBeLessThan(150);
    const stopped = await client.call('train.start', { ...request, settings: { ...settings, seed: 2 } });
    await client.call('jobs.stop', { id: stopped.id });
    expect((await over(stopped)).state).toBe('stopped');
    await client.call('jobs.dismiss', { id: stopped.id });
    expect((await client.call('jobs.list', {})).map(({ id }) => id)).not.toContain(stopped.id);
  });
});

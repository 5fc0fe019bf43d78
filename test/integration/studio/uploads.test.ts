/** Folders sent to the host by a browser: what arrives whole becomes a copied dataset, anything else leaves nothing. */
import { request as httpRequest } from 'node:http';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { writePlainVit } from '../../../src-main/backbone/plain-vit.ts';
import { startHost, type Host } from '../../../src-main/host/serve.ts';
import { Studio } from '../../../src-main/studio/service/studio.ts';
import type { Job } from '../../../src-main/studio/service/events.ts';
import { showDataset } from '../../../src-main/studio/datasets/datasets.ts';
import { Workspace } from '../../../src-main/workspace/workspace.ts';
import { paint } from '../paint.ts';

let base: string;
let workspace: Workspace;
let studio: Studio;
let host: Host;
const jobs = new Map<string, Job>();

beforeAll(async () => {
  base = await mkdtemp(join(tmpdir(), 'uploads-'));
  workspace = await Workspace.open(join(base, 'workspace'));
  studio = await Studio.open(workspace);
  studio.subscribe((event) => {
    if (event.type === 'job') jobs.set(event.job.id, event.job);
  });
  host = await startHost({ studio, pages: new Map(), port: 0, uploadLimits: { fileBytes: 100_000, files: 20 } });
});
afterAll(async () => {
  await host.close();
  await studio.close();
  await rm(base, { recursive: true, force: true });
});

interface Sent {
  path: string;
  content: Uint8Array;
}

function frame({ path, content }: Sent, bytes = content.length): Buffer {
  return Buffer.concat([Buffer.from(`${JSON.stringify({ path, bytes, mtimeMs: 1_600_000_000_000 })}\n`), content]);
}

async function send(body: Uint8Array, headers: Record<string, string> = {}, path = '/upload') {
  const response = await fetch(`http://127.0.0.1:${host.port}${path}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${host.token}`, ...headers },
    body: Buffer.from(body),
  });
  return { status: response.status, text: await response.text() };
}

const left = () => readdir(join(workspace.root, 'uploads')).catch(() => []);

async function over(id: string): Promise<Job> {
  for (;;) {
    const job = jobs.get(id);
    if (job && job.ended !== null) return job;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function pictures(folder: string): Promise<Sent[]> {
  const sent: Sent[] = [];
  let colour = 0;
  for (const name of ['cat', 'dog'])
    for (let index = 0; index < 5; index++) {
      const file = join(base, 'made', `${colour}.png`);
      await paint(file, colour++);
      sent.push({ path: `${folder}/${name}/${index} é"'.png`, content: await readFile(file) });
    }
  return sent;
}

describe('a folder that is sent', () => {
  it('becomes a copied dataset under a free name, and is itself gone', async () => {
    const sent = await pictures('pets');
    for (const name of ['pets', 'pets-2']) {
      const answer = await send(Buffer.concat(sent.map((one) => frame(one))));
      expect(answer.status, answer.text).toBe(200);
      const { reply } = JSON.parse(answer.text) as { reply: Job };
      const job = await over(reply.id);
      expect(job.state, JSON.stringify(job.error)).toBe('done');
      const shown = await showDataset(workspace, name);
      expect(shown).toMatchObject({ classes: ['cat', 'dog'], splits: { train: 8, val: 2 } });
      expect(await readFile(join(shown.copy!, 'cat', `3 é"'.png`))).toEqual(sent[3]!.content);
    }
    await expect.poll(left, { timeout: 30_000 }).toEqual([]);
  });

  it('that holds no dataset is refused by the import, and leaves nothing', async () => {
    const answer = await send(frame({ path: 'notes.txt', content: Buffer.from('hello') }));
    expect(answer.status).toBe(200);
    const job = await over((JSON.parse(answer.text) as { reply: Job }).reply.id);
    expect(job.state).toBe('failed');
    expect(job.error!.message).toMatch(/notes\.txt/);
    await expect.poll(left, { timeout: 30_000 }).toEqual([]);
  });

  it.each([
    '../outside.png',
    'pets/../../outside.png',
    '/etc/outside.png',
    'pets//outside.png',
    'pets/./outside.png',
    'pets/..',
    '..\\outside.png',
    'pets/..\\..\\outside.png',
    'C:/outside.png',
    'pets/a\u0000.png',
    'pets/a\nb.png',
    `pets/${'x'.repeat(300)}.png`,
    `${'deep/'.repeat(300)}a.png`,
  ])('may not have a file called %j', async (path) => {
    const [good] = await pictures('pets');
    const answer = await send(Buffer.concat([frame(good!), frame({ path, content: Buffer.from('x') })]));
    expect(answer.status).toBe(400);
    expect(answer.text).toMatch(/cannot be the path of a file/);
    expect(await left()).toEqual([]);
    for (const folder of [workspace.root, base, join(workspace.root, 'uploads')])
      expect(existsSync(join(folder, 'outside.png'))).toBe(false);
  });

  it('is refused where a file is too large, is there twice, or is one of too many', async () => {
    const refused = async (body: Uint8Array, why: RegExp) => {
      const answer = await send(body);
      expect(answer.status).toBe(400);
      expect(answer.text).toMatch(why);
    };
    const large = frame({ path: 'pets/large.png', content: Buffer.alloc(100_001) });
    await refused(large, /larger than 0\.1 MB/);
    const twice = frame({ path: 'pets/a.png', content: Buffer.from('a') });
    await refused(Buffer.concat([twice, twice]), /name of another file/);
    const many = Array.from({ length: 21 }, (_, n) => frame({ path: `pets/${n}.png`, content: Buffer.from('a') }));
    await refused(Buffer.concat(many), /more than 20/);
    expect(await left()).toEqual([]);
  });

  it('is refused where it is no list of files, or ends too early', async () => {
    const short = frame({ path: 'pets/a.png', content: Buffer.from('abc') }, 10);
    for (const body of [Buffer.from('{}\n'), Buffer.from('hello\n'), Buffer.alloc(20_000, 'x'), short, Buffer.alloc(0)])
      expect((await send(body)).status).toBe(400);
    expect(await left()).toEqual([]);
  });

  it('leaves nothing when the connection is cut in the middle of a file', async () => {
    const request = httpRequest({
      ...{ host: '127.0.0.1', port: host.port, path: '/upload', method: 'POST' },
      headers: { authorization: `Bearer ${host.token}`, 'content-length': '90000' },
    });
    request.on('error', () => undefined);
    request.write(frame({ path: 'pets/cat/a.png', content: Buffer.alloc(20_000) }, 80_000));
    await expect.poll(async () => (await left()).length, { timeout: 30_000 }).toBe(1);
    request.destroy();
    await expect.poll(left, { timeout: 30_000 }).toEqual([]);
  });

  it('may be a model with its weights beside it: looked into, added, and then gone', async () => {
    const onnx = { path: 'vit.onnx', content: writePlainVit({ size: 16, width: 24, blocks: 2 }) };
    const beside = { path: 'vit.onnx_data', content: Buffer.from('weights') };
    const sendModel = (...files: Sent[]) => send(Buffer.concat(files.map((one) => frame(one))), {}, '/upload/model');
    const reply = async (name: string, request: object) => {
      const answered = await studio.answer(name, request);
      if (!answered.ok) throw new Error(answered.error.message);
      return answered.reply as unknown;
    };

    expect((await sendModel(beside)).text).toMatch(/not one ONNX file/);
    expect((await sendModel(onnx, { ...onnx, path: 'other.onnx' })).status).toBe(400);
    expect(await left()).toEqual([]);

    for (const after of ['forgotten', 'added']) {
      const { file } = (JSON.parse((await sendModel(onnx, beside)).text) as { reply: { file: string } }).reply;
      expect(await readdir(dirname(file))).toEqual(['vit.onnx', 'vit.onnx_data']);
      expect(await reply('backbones.inspect', { file })).toMatchObject({ name: 'vit', blocks: 2, width: 24 });
      // Only what was sent is taken away.
      await reply('uploads.remove', { file: join(workspace.root, 'uploads', '..', 'studio.lock') });
      if (after === 'forgotten') await reply('uploads.remove', { file });
      else expect((await over(((await reply('backbones.add', { file })) as Job).id)).state).toBe('done');
      await expect.poll(left, { timeout: 30_000 }).toEqual([]);
      expect(existsSync(join(workspace.root, 'studio.lock'))).toBe(true);
    }
  });

  it('is taken from the own window with the key only, and only by POST', async () => {
    const body = frame({ path: 'pets/a.png', content: Buffer.from('a') });
    expect((await send(body, { authorization: 'Bearer nothing' })).status).toBe(401);
    expect((await send(body, { origin: 'https://example.org' })).status).toBe(403);
    const get = await fetch(`http://127.0.0.1:${host.port}/upload`, {
      headers: { authorization: `Bearer ${host.token}` },
    });
    expect(get.status).toBe(404);
    expect(await left()).toEqual([]);
  });
});

/** Edge tuning as the window asks for it: a server, a backbone on it, features for an adaptor, and a table. */
import { mkdtemp, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { writePlainVit } from '../../../src-main/backbone/plain-vit.ts';
import { writeOrientationSet } from '../../../src-main/data/sample/orientation.ts';
import { createSession, toOrt } from '../../../src-main/engine/session.ts';
import { runOnEdge } from '../../../src-main/studio/edge/run-adaptor.ts';
import { guessesOf } from '../../../src-main/studio/predict.ts';
import type { CallName, ReplyOf, RequestOf } from '../../../src-main/studio/service/calls.ts';
import { replyIn } from '../../../src-main/studio/service/client.ts';
import type { Job, StudioEvent } from '../../../src-main/studio/service/events.ts';
import { Studio } from '../../../src-main/studio/service/studio.ts';
import { Workspace } from '../../../src-main/workspace/workspace.ts';
import { writeCertificate } from '../edge/certificate.ts';

let folder: string;
let studio: Studio;
const events: StudioEvent[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'edge-'));
  await writeOrientationSet(join(folder, 'hearts'), { train: 32, val: 16, test: 16, seed: 2 });
  await writeFile(join(folder, 'vit.onnx'), writePlainVit({ size: 16, patch: 4, width: 24, blocks: 2, heads: 3 }));
  studio = await Studio.open(await Workspace.open(join(folder, 'workspace')));
  studio.subscribe((event) => events.push(event));
  await over(await call('datasets.add', { path: join(folder, 'hearts') }));
  await over(await call('backbones.add', { file: join(folder, 'vit.onnx') }));
});
afterAll(async () => {
  await studio.close();
  await rm(folder, { recursive: true, force: true });
});

async function call<Name extends CallName>(name: Name, request: RequestOf<Name>): Promise<ReplyOf<Name>> {
  return replyIn<Name>(await studio.answer(name, request));
}

async function over(job: Job, ended: (job: Job) => boolean = ({ ended: at }) => at !== null): Promise<Job> {
  for (;;) {
    const last = events.findLast((event) => event.type === 'job' && event.job.id === job.id);
    if (last?.type === 'job' && ended(last.job)) return last.job;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

it('a server that wants its token, a backbone on it trained with, and decisions as the command makes them', async () => {
  const { server, token } = await call('edge.serve', { backbones: ['vit'], network: false, token: true, port: 0 });
  const [url] = server.urls;
  expect(server).toMatchObject({ wantsToken: true, backbones: ['vit'] });
  await expect(call('edge.serve', { backbones: ['vit'], network: false, token: false, port: 0 })).rejects.toMatchObject(
    { code: 'serving' },
  );

  // Whoever has no token, or another, is told so; ours was kept where only the user reads it, and is not the entry's.
  await expect(call('edge.look', { url: url!, token: 'another-word-of-many' })).rejects.toMatchObject({
    code: 'token',
    message: `The server at ${url!} does not take this token: give the one that it was started with.`,
  });
  const tokens = join(folder, 'workspace', 'tokens');
  expect((await stat(tokens)).mode & 0o077).toBe(0);
  const [file, ...others] = await readdir(tokens);
  expect(others).toEqual([]);
  expect((await readFile(join(tokens, file!), 'utf8')).trim()).toBe(token);
  const offered = await call('edge.look', { url: url! });
  expect(offered).toEqual([
    {
      url: `${url!}/v2/models/vit`,
      ...{ name: 'vit', blocks: 2, width: 24, tokens: 17, upto: [1, 2], takesImages: true, known: null },
    },
  ]);
  const { name } = await call('edge.connect', { url: offered[0]!.url });
  expect(name).not.toBe('vit');
  expect((await call('edge.look', { url: url! }))[0]!.known).toBe(name);
  expect(await call('edge.connected', {})).toMatchObject([{ name, blocks: 2, upto: [1, 2], takesImages: true }]);
  expect((await call('backbones.list', {})).backbones.map((each) => each.name)).toContain(name);
  expect(await readFile(join(folder, 'workspace', 'backbones', name, 'backbone.json'), 'utf8')).not.toContain(token);

  const settings = { method: 'miet', epochs: 2 } as const;
  const trained = await over(await call('train.start', { dataset: 'hearts', backbone: name, settings, threads: 1 }));
  expect(trained.error).toBeNull();
  const served = events.findLast((event) => event.type === 'edge');
  expect(served?.server?.models.map((model) => model.name)).toEqual(['vit', 'vit-image']);

  const adaptor = await call('edge.adaptor', { run: trained.run! });
  expect(adaptor).toMatchObject({ reads: ['S_1'], backbone: { name } });
  expect((await call('edge.adaptor', { file: adaptor.file })).model).toBe(adaptor.model);
  const picture = join(folder, 'hearts', 'images', 'test-00000.png');
  const bytes = new Uint8Array(await readFile(picture));
  const found = await call('edge.features', { adaptor: adaptor.file, server: url!, name: 'one', bytes });
  const session = await createSession(Buffer.from(adaptor.model, 'base64'), { threads: 1 });
  const { storage, shape, data } = found.feeds.features!;
  const halves = new Uint16Array(new Uint8Array(Buffer.from(data, 'base64')).buffer);
  const { logits } = await session.run({ features: toOrt({ storage, shape }, halves) });
  await session.release();
  const access = { tokenFile: join(tokens, file!) };
  const command = await runOnEdge({ adaptor: adaptor.file, server: url!, images: [picture], ...access });
  expect(command.predictions).toEqual([{ image: picture, ...guessesOf(logits!.data as Float32Array, adaptor.labels) }]);
  expect([found.bytes.up, found.takesImages]).toEqual([command.bytes.up, true]);
  // The server says in digits how long it took.
  expect(Math.abs(found.bytes.down - command.bytes.down)).toBeLessThan(8);
  expect(found.alternatives).toEqual(command.alternatives);
  expect(found.seconds.server).toBeGreaterThan(0);
  await expect(
    call('edge.features', { adaptor: adaptor.file, server: url!, name: 'note', bytes: new Uint8Array(9) }),
  ).rejects.toMatchObject({ code: 'image' });

  const shown = await call('edge.server', {});
  expect(shown!.models.reduce((sum, { images }) => sum + images, 0)).toBeGreaterThan(48);
  await call('edge.stop', {});
  expect([await call('edge.server', {}), await readdir(tokens)]).toEqual([null, []]);
  const gone = call('edge.features', { adaptor: adaptor.file, server: url!, name: 'one', bytes });
  await expect(gone).rejects.toMatchObject({ code: 'server' });
}, 60_000);

it('a server with a certificate, a token of a file, and gRPC, used by whoever is given what it takes', async () => {
  const { cert, key } = await writeCertificate(folder, await writeCertificate(folder));
  const tokenFile = join(folder, 'token');
  await writeFile(tokenFile, 'a-word-that-nobody-guesses\n');
  const request = { backbones: ['vit'], network: true, token: false, port: 0 };
  for (const [wrong, code] of [
    [{ tokenFile: join(folder, 'none') }, 'token-file'],
    [{ tokenFile: cert }, 'token-file'],
    [{ tls: { cert, key: join(folder, 'none') } }, 'tls'],
    [{ tls: { cert: key, key: cert } }, 'tls'],
  ] as const)
    await expect(call('edge.serve', { ...request, ...wrong }), JSON.stringify(wrong)).rejects.toMatchObject({ code });
  expect(await call('edge.server', {})).toBeNull();

  const { server, token } = await call('edge.serve', { ...request, tokenFile, grpcPort: 0, tls: { cert, key } });
  // The certificate is for this machine, under its loopback's names; the token is known to whoever wrote the file.
  expect(server).toMatchObject({
    urls: [`https://127.0.0.1:${server.port}`],
    wantsToken: true,
    tokenFile,
  });
  expect(server.grpcPort).toBeGreaterThan(0);
  expect(token).toBeNull();
  const [url] = server.urls as [string];
  await expect(call('edge.look', { url })).rejects.toMatchObject({
    code: 'tls',
    message: expect.stringMatching(/is not trusted here \(unable to verify.*\): give the one to check it by/) as string,
  });
  await expect(call('edge.look', { url: url.replace('https', 'http') })).rejects.toMatchObject({ code: 'server' });
  await writeFile(join(folder, 'other'), 'another-word-of-many');
  await expect(call('edge.look', { url, caFile: cert, tokenFile: join(folder, 'other') })).rejects.toMatchObject({
    code: 'token',
  });
  const how = { caFile: cert, tokenFile };
  const [offered] = await call('edge.look', { url, ...how });
  const { name } = await call('edge.connect', { url: offered!.url, ...how });
  const entry = await readFile(join(folder, 'workspace', 'backbones', name, 'backbone.json'), 'utf8');
  expect(JSON.parse(entry)).toMatchObject({ served: how });
  await call('backbones.remove', { name });

  // The window knows the certificate of its own server.
  const [run] = (await call('runs.list', {})).flatMap((each) => (each.state === 'done' ? [each.run] : []));
  const { file } = await call('edge.adaptor', { run: run! });
  const bytes = new Uint8Array(await readFile(join(folder, 'hearts', 'images', 'test-00000.png')));
  const { feeds } = await call('edge.features', { adaptor: file, server: url, name: 'one', bytes });
  expect(Object.keys(feeds)).toEqual(['features']);
  const joules = await call('edge.joules', {});
  if (joules !== null) expect(await call('edge.joules', {})).toBeGreaterThanOrEqual(joules);
  await call('edge.stop', {});
}, 60_000);

it('a table that is stopped in the middle and gone on with, row by row', async () => {
  const request = { dataset: 'hearts', backbone: 'vit', upto: [1], epochs: 1, limit: 16, noTaps: true };
  const job = await call('edge.tradeoff', request);
  const isBegun = () => events.some((event) => event.type === 'tradeoffs');
  while (!isBegun()) await new Promise((resolve) => setTimeout(resolve, 5));
  while ((await call('edge.tradeoffs', {}))[0]?.rows.length === 0)
    await new Promise((resolve) => setTimeout(resolve, 20));
  await call('jobs.pause', { id: job.id });
  expect((await over(job)).state).toBe('paused');
  const [before] = await call('edge.tradeoffs', {});
  events.length = 0;
  await call('jobs.resume', { id: job.id });
  const done = await over(job);
  expect(done).toMatchObject({ state: 'done', error: null, run: before!.id });
  const tables = await call('edge.tradeoffs', {});
  expect(tables).toEqual([done.result]);
  const [{ rows, total }] = tables as [(typeof tables)[number]];
  expect(total).toBe(3);
  expect(rows.slice(0, before!.rows.length)).toEqual(before!.rows);
  expect(rows.map(({ features, datatype }) => `${features} ${datatype}`)).toEqual(['cls fp32', 'sum fp16', 'sum int8']);
  const { imageBytes, alternatives } = await call('edge.costs', { backbone: 'vit', dataset: 'hearts' });
  expect(imageBytes).toBeGreaterThan(100);
  expect(alternatives.find(({ id }) => id === 'sum-fp16')!.bytesDown).toBe(rows[1]!.bytesPerImage);
  await call('edge.removeTradeoff', { id: before!.id });
  expect(await call('edge.tradeoffs', {})).toEqual([]);
}, 60_000);

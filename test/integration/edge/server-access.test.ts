/** Who may come in, and how long they may take. */
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { request as httpRequest } from 'node:http';
import { request as tlsRequest } from 'node:https';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Backbone } from '../../../src-main/backbone/catalogue.ts';
import { encodeRequest } from '../../../src-main/oip/messages.ts';
import { writeCertificate } from './certificate.ts';
import { addSmallVit, defects, infer, noise, pixels, serve, withServer } from './small-server.ts';

let folder: string;
let backbone: Backbone;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'edge access '));
  backbone = await addSmallVit(folder);
});
afterAll(() => rm(folder, { recursive: true }));

describe('whoever asks before sending', () => {
  /** With `Expect: 100-continue`: the body goes out once it is asked for. @returns what was answered, and bytes sent */
  const ask = (url: string, headers: Record<string, string> = {}, path = '/v2/models/small/infer') =>
    new Promise<{ status: number; retryAfter: string | undefined; asked: boolean }>((resolve, reject) => {
      const { parts, headerLength } = encodeRequest([pixels(noise(1))], ['cls']);
      const body = Buffer.concat(parts);
      let asked = false;
      const request = httpRequest(`${url}${path}`, {
        method: 'POST',
        agent: false,
        headers: {
          expect: '100-continue',
          'content-length': String(body.length),
          'inference-header-content-length': String(headerLength),
          ...headers,
        },
      });
      request.on('continue', () => {
        asked = true;
        request.end(body);
      });
      request.on('error', reject).on('response', (response) => {
        response.resume();
        resolve({ status: response.statusCode!, retryAfter: response.headers['retry-after'], asked });
        if (!asked) request.destroy();
      });
      request.flushHeaders();
    });
  const refused = (status: number) => ({ status, asked: false });

  it('need not send what is refused', async () => {
    const tokenFile = join(folder, 'word');
    await writeFile(tokenFile, randomUUID());
    const closed = await serve(backbone, {}, { tokenFile });
    expect(await ask(closed.url)).toMatchObject(refused(401));
    await closed.close();
    await withServer(backbone, { requestBytes: 5000 }, async ({ url }) => {
      expect(await ask(url)).toEqual({ status: 200, retryAfter: undefined, asked: true });
      expect(await ask(url, {}, '/v2/models/none/infer')).toMatchObject(refused(404));
      expect(await ask(url, { 'content-length': '5001' })).toMatchObject(refused(413));
      expect(await ask(url, { 'content-encoding': 'br' })).toMatchObject(refused(415));
      expect(await ask(url, { expect: 'a miracle' })).toMatchObject(refused(417));
    });
    // Two images wait for others that never come, and the queue has no room for more.
    await withServer(backbone, { queue: 2, batch: 8, delayMs: 600_000 }, async ({ url }) => {
      const left = new AbortController();
      const waiting = [1, 2].map((seed) => infer(url, pixels(noise(1, seed)), ['cls'], {}, left.signal));
      const metrics = async () => (await fetch(`${url}/metrics`)).text();
      while (!/waiting_images\{model="small"\} 2/.test(await metrics()));
      const full = await ask(url);
      expect(full).toMatchObject(refused(503));
      expect(Number(full.retryAfter)).toBeGreaterThan(0);
      left.abort();
      for (const each of waiting) await expect(each).rejects.toThrow();
    });
  });
});

it('who sends nothing, or too slowly, or leaves without a word, is let go', () =>
  withServer(backbone, { receiveMs: 300, sendMs: 300 }, async ({ url, port }) => {
    const head = (bytes: number) =>
      `POST /v2/models/small/infer HTTP/1.1\r\nhost: x\r\ncontent-length: ${bytes}\r\n\r\n`;
    const heard = (sent: string, drip: boolean) =>
      new Promise<string>((resolve) => {
        let text = '';
        const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true }, () => socket.write(sent));
        const dripping = setInterval(() => drip && socket.write('x'), 50);
        socket.on('data', (bytes) => (text += bytes.toString())).on('error', () => undefined);
        socket
          .on('end', () => socket.destroy())
          .on('close', () => {
            clearInterval(dripping);
            resolve(text.split('\r\n')[0]!);
          });
      });
    const slow = 'HTTP/1.1 408 Request Timeout';
    expect(
      await Promise.all([
        heard('', false),
        heard('GET /v2 HTTP/1.1\r\nx: ', true),
        heard(head(5000), false),
        heard(head(5000), true),
      ]),
    ).toEqual([slow, slow, slow, slow]);
    expect((await infer(url, pixels(noise(1)), ['cls'])).response.status).toBe(200);
  }));

describe('whoever has not the token', () => {
  it('is refused everything but whether the server runs', async () => {
    const tokenFile = join(folder, 'token');
    const token = randomUUID();
    await writeFile(tokenFile, `${token}\n`);
    const server = await serve(backbone, {}, { tokenFile });
    try {
      const status = async (path: string, authorization?: string) =>
        (await fetch(`${server.url}${path}`, { headers: authorization === undefined ? {} : { authorization } })).status;
      expect(await status('/v2/health/live')).toBe(200);
      for (const path of ['/v2', '/v2/models/small', '/metrics', '/v2/models/small/config', '/'])
        for (const wrong of [undefined, 'Bearer', `Bearer ${token}x`, `Bearer ${token.slice(1)}`, `Basic ${token}`])
          expect(await status(path, wrong), `${path} ${wrong}`).toBe(401);
      expect(await status('/v2', `Bearer ${token}`)).toBe(200);
      expect((await infer(server.url, pixels(noise(1)), ['cls'])).response.status).toBe(401);
    } finally {
      await server.close();
    }
  });

  it('cannot be let in from elsewhere', async () => {
    await expect(serve(backbone, {}, { host: '0.0.0.0' })).rejects.toMatchObject({
      code: 'usage',
      message: expect.stringContaining('takes a token') as string,
    });
    const short = join(folder, 'short');
    await writeFile(short, 'secret');
    await expect(serve(backbone, {}, { tokenFile: short })).rejects.toMatchObject({ code: 'token-file' });
  });
});

it('TLS from files', async () => {
  const { key, cert, ca } = await writeCertificate(folder);
  const server = await serve(backbone, {}, { tls: { cert, key } });
  try {
    const status = await new Promise((resolve, reject) => {
      const asked = tlsRequest(`${server.url}/v2`, { ca, agent: false }, (answer) => resolve(answer.statusCode));
      asked.on('error', reject).end();
    });
    expect(status).toBe(200);
  } finally {
    await server.close();
  }
  expect(defects).toEqual([]);
  await expect(serve(backbone, {}, { tls: { cert: key, key: cert } })).rejects.toMatchObject({ code: 'tls' });
});

import { mkdtemp, rm } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { encodeRequest } from '../../../src-main/oip/messages.ts';
import { halvesOf } from '../../../src-main/oip/tensors.ts';
import { startEdge } from './edge-process.ts';
import { addSmallVit, infer, noise, pixels } from './small-server.ts';

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'edge process '));
  await addSmallVit(folder);
});
afterAll(() => rm(folder, { recursive: true }));

/** Sends bytes over a connection of its own; what comes back until it is closed, or for a while. */
function exchange(port: number, bytes: Uint8Array, halfOpen: boolean): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    const socket: Socket = connect(port, '127.0.0.1', () => {
      socket.write(bytes);
      if (!halfOpen) socket.end();
    });
    const done = () => {
      socket.destroy();
      resolve(text);
    };
    socket.setTimeout(300, done);
    socket
      .on('data', (chunk) => (text += chunk.toString('latin1')))
      .on('close', done)
      .on('error', done);
  });
}

describe('a server process', () => {
  const args = () => [
    '--workspace',
    join(folder, 'workspace'),
    '--backbone',
    'small',
    '--upto',
    '2,4',
    '--threads',
    '1',
  ];

  /** Malformed requests; many more than by default tell of memory too. */
  const FUZZ = Number(process.env.SIDETUNE_FUZZ ?? 1500);
  const rssBytes = async (url: string) =>
    Number(/^process_resident_memory_bytes (\d+)/m.exec(await (await fetch(`${url}/metrics`)).text())![1]);

  it('survives what is malformed, whatever it is', { timeout: 300_000 + 50 * FUZZ }, async () => {
    const server = await startEdge(args());
    const random = xoroshiro128plus(7);
    const below = (n: number) => Math.abs(random.next()) % n;
    const one = <T>(...choices: T[]) => choices[below(choices.length)]!;
    const { parts, headerLength } = encodeRequest([pixels(noise(1))], ['gathered_2_fp16']);
    const good = Buffer.concat(parts);
    const statuses = new Map<string, number>();
    const strange = () => {
      const body = Buffer.from(good);
      const flips = one(0, 1, 3, 40);
      for (let n = 0; n < flips; n++) body[below(one(headerLength!, body.length))] = below(256);
      const cut = body.subarray(0, one(body.length, below(body.length), headerLength!));
      const json = one(headerLength!, headerLength! + below(9) - 4, below(1e6), -1, 0, 1e20, NaN);
      const length = one(cut.length, cut.length, cut.length + below(50), Math.max(0, cut.length - below(50)), -1, 1e15);
      const path = one(
        '/v2/models/small/infer',
        '/v2/models/small-image/infer',
        '/v2/models/small/versions/2/infer',
        '/v2/models/%zz/infer',
        '/v2/../metrics',
        '/v2/models//infer',
        '/v2/repository/index',
      );
      const method = one('POST', 'POST', 'POST', 'GET', 'PUT', 'BREW');
      const head = [
        `${method} ${path} HTTP/1.1`,
        'host: x',
        one(`content-length: ${length}`, 'transfer-encoding: chunked'),
        `inference-header-content-length: ${json}`,
        one(
          'x: y',
          'content-encoding: gzip',
          'content-encoding: deflate',
          'expect: 100-continue',
          `x: ${'y'.repeat(20_000)}`,
        ),
      ];
      return one(
        Buffer.concat([Buffer.from(`${head.join('\r\n')}\r\n\r\n`), cut]),
        Buffer.concat([Buffer.from(`${head.join('\r\n')}\r\n\r\n`), cut]),
        cut,
      );
    };
    try {
      let halfWay = Infinity;
      for (let sent = 0; sent < FUZZ; sent += 25) {
        if (halfWay === Infinity && sent >= FUZZ / 2) halfWay = await rssBytes(server.url);
        await Promise.all(
          Array.from({ length: 25 }, async () => {
            const answer = await exchange(server.port, strange(), below(2) === 0);
            for (const [, status] of answer.matchAll(/HTTP\/1\.1 (\d+)/g))
              statuses.set(status!, (statuses.get(status!) ?? 0) + 1);
          }),
        );
      }
      if (FUZZ >= 20_000) expect(await rssBytes(server.url)).toBeLessThan(1.25 * halfWay);
      expect([...statuses.keys()].filter((status) => status.startsWith('5'))).toEqual([]);
      // The seed has to have met with more than one kind of refusal.
      expect([...statuses.keys()]).toEqual(expect.arrayContaining(['200', '400', '404', '405', '413']));
      const { read } = await infer(server.url, pixels(noise(1)), ['gathered_2_fp16']);
      expect(halvesOf(read().get('gathered_2_fp16')!).length).toBe(17 * 12);
    } finally {
      await server.stop();
    }
  });

  it('that is asked to end answers what it has accepted', async () => {
    // Everything waits for a batch that is never full, so that all have arrived before any is answered.
    const server = await startEdge([...args(), '--batch', '1000', '--delay-ms', '1500']);
    const begun = Promise.all(
      Array.from({ length: 20 }, (_, seed) => infer(server.url, pixels(noise(10, seed)), ['gathered_4_fp32'])),
    );
    const held = async () => {
      const metrics = await (await fetch(`${server.url}/metrics`)).text();
      return Number(/waiting_images\{model="small"\} (\d+)/.exec(metrics)![1]);
    };
    while ((await held()) < 200) await new Promise((resolve) => setTimeout(resolve, 5));
    expect(await server.stop('SIGTERM')).toBe(130);
    for (const { response, read } of await begun) {
      expect(response.status).toBe(200);
      expect(read().get('gathered_4_fp32')!.shape).toEqual([10, 17, 12]);
    }
    await expect(fetch(server.url)).rejects.toThrow();
  });
});

import { createHash, randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { request as tlsRequest } from 'node:https';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { uniformFloat64 } from 'pure-rand/distribution/uniformFloat64';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { addBackbone } from '../../../src-main/backbone/add-backbone.ts';
import { type Backbone } from '../../../src-main/backbone/catalogue.ts';
import { writePlainVit } from '../../../src-main/backbone/plain-vit.ts';
import type { Limits } from '../../../src-main/edge/server/limits.ts';
import { serveBackbones, type EdgeServer } from '../../../src-main/edge/server/serve.ts';
import { halvesToFloats } from '../../../src-main/engine/half.ts';
import { decodeResponse, encodeRequest } from '../../../src-main/oip/messages.ts';
import { floatsOf, halvesOf, joinBytes, type WireTensor } from '../../../src-main/oip/tensors.ts';
import { Workspace } from '../../../src-main/workspace/workspace.ts';
import { writeCertificate } from './certificate.ts';
import { startEdge } from './edge-process.ts';

const SIZE = 16;
let folder: string;
let backbone: Backbone;
const defects: unknown[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'edge server '));
  const file = join(folder, 'small.onnx');
  await writeFile(file, writePlainVit({ size: SIZE, patch: 4, width: 12, blocks: 4, heads: 3 }));
  backbone = await addBackbone(await Workspace.open(join(folder, 'workspace')), file);
});
afterAll(() => rm(folder, { recursive: true }));

function serve(
  limits: Partial<Limits> = {},
  more: { host?: string; tokenFile?: string; tls?: { cert: string; key: string } } = {},
) {
  const onDefect = (error: unknown) => void defects.push(error);
  return serveBackbones({
    backbones: [backbone],
    upto: [2, 4],
    host: '127.0.0.1',
    port: 0,
    threads: 1,
    version: '0',
    onDefect,
    limits,
    ...more,
  });
}

const noise = (count: number, seed = 1) =>
  Float32Array.from({ length: count * 3 * SIZE * SIZE }, (_, i) => Math.sin(i * (seed + i)));

function pixels(data: Float32Array): WireTensor {
  const bytes = new Uint8Array(data.buffer);
  return {
    name: 'pixel_values',
    datatype: 'FP32',
    shape: [data.length / (3 * SIZE * SIZE), 3, SIZE, SIZE],
    data: bytes,
  };
}

async function infer(url: string, input: WireTensor, outputs: string[], headers: Record<string, string> = {}) {
  const { parts, headerLength } = encodeRequest([input], outputs);
  const model = input.datatype === 'BYTES' ? 'small-image' : 'small';
  const response = await fetch(`${url}/v2/models/${model}/infer`, {
    method: 'POST',
    headers: { 'inference-header-content-length': String(headerLength), 'accept-encoding': 'identity', ...headers },
    body: Buffer.concat(parts),
  });
  const body = Buffer.from(await response.arrayBuffer());
  return {
    response,
    body,
    read: () => decodeResponse(body, Number(response.headers.get('inference-header-content-length'))).outputs,
  };
}

async function withServer(limits: Partial<Limits>, use: (server: EdgeServer) => Promise<void>): Promise<void> {
  const server = await serve(limits);
  try {
    await use(server);
  } finally {
    await server.close();
  }
  expect(defects).toEqual([]);
}

describe('a served backbone', () => {
  it('says what it takes and gives, and gives what is asked for and nothing else', () =>
    withServer({}, async ({ url }) => {
      const metadata = (await (await fetch(`${url}/v2/models/small/versions/1`)).json()) as {
        inputs: unknown;
        outputs: { name: string }[];
      };
      expect(metadata.inputs).toEqual([{ name: 'pixel_values', datatype: 'FP32', shape: [-1, 3, SIZE, SIZE] }]);
      const forms = (k: number) => [
        `gathered_${k}_fp16`,
        `gathered_${k}_fp32`,
        `gathered_${k}_int8`,
        `gathered_${k}_scale`,
      ];
      expect(metadata.outputs.map(({ name }) => name)).toEqual([...forms(2), ...forms(4), 'cls', 'mean']);
      const three = noise(3);
      const { response, body, read } = await infer(url, pixels(three), [...forms(2), 'cls']);
      const outputs = read();
      expect([...outputs.keys()]).toEqual([...forms(2), 'cls']);
      const sum = floatsOf(outputs.get('gathered_2_fp32')!);
      expect(outputs.get('gathered_2_fp32')!.shape).toEqual([3, 17, 12]);
      const halves = halvesToFloats(halvesOf(outputs.get('gathered_2_fp16')!));
      const codes = new Int8Array(outputs.get('gathered_2_int8')!.data);
      const scales = floatsOf(outputs.get('gathered_2_scale')!);
      sum.forEach((value, i) => {
        expect(Math.abs(halves[i]! - value)).toBeLessThanOrEqual(2 ** -11 * Math.abs(value) + 1e-7);
        expect(Math.abs(codes[i]! * scales[Math.floor(i / 12)]! - value)).toBeLessThanOrEqual(
          0.51 * scales[Math.floor(i / 12)]!,
        );
      });
      const digest = createHash('sha256').update(body).digest('base64');
      expect(response.headers.get('content-digest')).toBe(`sha-256=:${digest}:`);
      // Each image has its own features, whoever else's went through with it.
      const alone = await infer(url, pixels(three.slice(-3 * SIZE * SIZE)), ['cls']);
      expect(floatsOf(alone.read().get('cls')!)).toEqual(floatsOf(outputs.get('cls')!).slice(-12));
    }));

  it('decodes pictures as they are decoded here, and refuses what is none', () =>
    withServer({ imagePixels: 1e6 }, async ({ url }) => {
      const picture = await sharp({ create: { width: 40, height: 30, channels: 3, background: '#336699' } })
        .png()
        .toBuffer();
      const image = (...encoded: Uint8Array[]): WireTensor => ({
        name: 'image',
        datatype: 'BYTES',
        shape: [encoded.length],
        data: joinBytes(encoded),
      });
      const ofPicture = await infer(url, image(picture, picture), ['mean']);
      const flat = Float32Array.from({ length: 3 * SIZE * SIZE }, (_, i) => {
        const level = [0x33, 0x66, 0x99][Math.floor(i / (SIZE * SIZE))]!;
        return level * (1 / (255 * 0.5)) - 1;
      });
      const twice = Float32Array.of(...flat, ...flat);
      const ofPixels = await infer(url, pixels(twice), ['mean']);
      expect(floatsOf(ofPicture.read().get('mean')!)).toEqual(floatsOf(ofPixels.read().get('mean')!));
      const raw = await fetch(`${url}/v2/models/small-image/infer`, {
        method: 'POST',
        body: new Uint8Array(picture),
        headers: { 'inference-header-content-length': '0' },
      });
      expect(raw.status).toBe(200);
      const bomb = await sharp({ create: { width: 2000, height: 2000, channels: 3, background: '#000' } })
        .png()
        .toBuffer();
      const refused = async (bytes: Uint8Array) => {
        const { response, body } = await infer(url, image(picture, bytes), ['mean']);
        return [response.status, (JSON.parse(body.toString()) as { error: string }).error];
      };
      expect(await refused(bomb)).toEqual([
        400,
        expect.stringContaining('"image 1" cannot be read as an image: it has more than 1 million pixels'),
      ]);
      expect(await refused(Buffer.from('<svg/>'))).toEqual([400, expect.stringContaining('it is SVG')]);
      expect(await refused(new Uint8Array())).toEqual([400, expect.stringContaining('it is empty')]);
    }));

  it('answers as many as it has room for and tells the others to come back', () =>
    withServer({ queue: 4, batch: 8, delayMs: 800 }, async ({ url }) => {
      const answers = await Promise.all(
        Array.from({ length: 12 }, (_, seed) => infer(url, pixels(noise(2, seed)), ['cls'])),
      );
      const statuses = answers.map(({ response }) => response.status);
      expect(new Set(statuses)).toEqual(new Set([200, 503]));
      for (const { response } of answers)
        if (response.status === 503) expect(Number(response.headers.get('retry-after'))).toBeGreaterThan(0);
      expect((await infer(url, pixels(noise(5)), ['cls'])).response.status).toBe(413);
      expect((await infer(url, pixels(noise(4)), ['cls'])).response.status).toBe(200);
    }));

  it('takes requests up to its limit, said beforehand or not, packed or not', () =>
    withServer({ requestBytes: 5000 }, async ({ url }) => {
      const status = async (body: BodyInit, headers: Record<string, string> = {}) => {
        const answer = await fetch(`${url}/v2/models/small/infer`, {
          method: 'POST',
          body,
          headers,
          duplex: 'half',
        } as RequestInit);
        return answer.status;
      };
      const stream = (bytes: number) => new Blob([new Uint8Array(bytes)]).stream();
      expect(await status(new Uint8Array(5000))).toBe(400);
      expect(await status(new Uint8Array(5001))).toBe(413);
      expect(await status(stream(5001))).toBe(413);
      const { gzipSync } = await import('node:zlib');
      expect(await status(new Uint8Array(gzipSync(new Uint8Array(1e6))), { 'content-encoding': 'gzip' })).toBe(413);
      expect(await status('{}', { 'content-encoding': 'gzip' })).toBe(400);
      expect(await status('{}', { 'content-encoding': 'br' })).toBe(415);
    }));
});

it('sums beyond half precision are divided by a fixed power of two, and what does not fit even so is said', async () => {
  const file = join(folder, 'large.onnx');
  const random = xoroshiro128plus(3);
  const of = (name: string, shape: readonly number[]) => {
    const size = name === 'patch.weight' ? 2e5 : 0.1;
    const values = new Float32Array(shape.reduce((product, each) => product * each, 1));
    if (name.endsWith('.scale')) return values.fill(1);
    return values.map(() => size * (2 * uniformFloat64(random) - 1));
  };
  const shape = { size: SIZE, patch: 4, width: 12, blocks: 2, heads: 3 };
  await writeFile(file, writePlainVit({ ...shape, weights: { of, description: 'large' } }));
  const backbones = [await addBackbone(await Workspace.open(join(folder, 'large')), file, { name: 'small' })];
  const onDefect = (error: unknown) => void defects.push(error);
  const options = { backbones, upto: [2], host: '127.0.0.1', port: 0, threads: 1, version: '0', onDefect };
  const server = await serveBackbones(options);
  try {
    const scale = server.models[0]!.scales.get(2)!;
    expect(Number.isInteger(Math.log2(scale))).toBe(true);
    const { read } = await infer(server.url, pixels(noise(2)), ['gathered_2_fp16', 'gathered_2_fp32']);
    const sums = floatsOf(read().get('gathered_2_fp32')!);
    expect(Math.max(...sums)).toBeGreaterThan(65_504);
    const halves = halvesToFloats(halvesOf(read().get('gathered_2_fp16')!));
    sums.forEach((sum, i) =>
      expect(Math.abs(halves[i]! * scale - sum)).toBeLessThanOrEqual(2 ** -11 * Math.abs(sum) + 1e-4 * scale),
    );
    const refused = async (data: Float32Array, output: string) => {
      const { response, body } = await infer(server.url, pixels(data), [output]);
      return [response.status, response.ok ? '' : (JSON.parse(body.toString()) as { error: string }).error];
    };
    const bright = noise(1).map((value) => 1000 * value);
    expect(await refused(bright, 'gathered_2_fp32')).toEqual([200, '']);
    expect(await refused(bright, 'gathered_2_fp16')).toEqual([
      422,
      `Output "gathered_2_fp16" does not fit half precision, though divided by ${scale}: ask for "gathered_2_fp32".`,
    ]);
    expect(await refused(bright.fill(NaN), 'mean')).toEqual([422, expect.stringContaining('not finite')]);
  } finally {
    await server.close();
  }
});

it('who sends nothing, or too slowly, or leaves without a word, is let go', () =>
  withServer({ receiveMs: 300, sendMs: 300 }, async ({ url, port }) => {
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
    const server = await serve({}, { tokenFile });
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
    await expect(serve({}, { host: '0.0.0.0' })).rejects.toMatchObject({
      code: 'usage',
      message: expect.stringContaining('takes a token') as string,
    });
    const short = join(folder, 'short');
    await writeFile(short, 'secret');
    await expect(serve({}, { tokenFile: short })).rejects.toMatchObject({ code: 'token-file' });
  });
});

it('TLS from files', async () => {
  const { key, cert, ca } = await writeCertificate(folder);
  const server = await serve({}, { tls: { cert, key } });
  try {
    const status = await new Promise((resolve, reject) => {
      const asked = tlsRequest(`${server.url}/v2`, { ca, agent: false }, (answer) => resolve(answer.statusCode));
      asked.on('error', reject).end();
    });
    expect(status).toBe(200);
  } finally {
    await server.close();
  }
  await expect(serve({}, { tls: { cert: key, key: cert } })).rejects.toMatchObject({ code: 'tls' });
});

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

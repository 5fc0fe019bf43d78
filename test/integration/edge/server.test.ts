import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { uniformFloat64 } from 'pure-rand/distribution/uniformFloat64';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { addBackbone } from '../../../src-main/backbone/add-backbone.ts';
import type { Backbone } from '../../../src-main/backbone/catalogue.ts';
import { writePlainVit } from '../../../src-main/backbone/plain-vit.ts';
import { halvesToFloats } from '../../../src-main/engine/half.ts';
import { floatsOf, halvesOf, joinBytes, type WireTensor } from '../../../src-main/oip/tensors.ts';
import { Workspace } from '../../../src-main/workspace/workspace.ts';
import { addSmallVit, infer, noise, pixels, serve, SIZE, withServer } from './small-server.ts';

let folder: string;
let backbone: Backbone;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'edge server '));
  backbone = await addSmallVit(folder);
});
afterAll(() => rm(folder, { recursive: true }));

describe('a served backbone', () => {
  it('says what it takes and gives, and gives what is asked for and nothing else', () =>
    withServer(backbone, {}, async ({ url }) => {
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
    withServer(backbone, { imagePixels: 1e6 }, async ({ url }) => {
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
    withServer(backbone, { queue: 4, batch: 8, delayMs: 800 }, async ({ url }) => {
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
    withServer(backbone, { requestBytes: 5000 }, async ({ url }) => {
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
  const large = await addBackbone(await Workspace.open(join(folder, 'large')), file, { name: 'small' });
  const server = await serve(large, {}, { upto: [2] });
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

import { fork } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import sharp from 'sharp';
import type { Colour, Sharp } from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { DecodeTarget, Decoder } from '../../src-main/data/decode/decoder.ts';
import { startDecoder } from '../../src-main/data/decode/start-decoder.ts';

const target: DecodeTarget = { width: 8, height: 8, fit: 'squash', cropPct: 1, interpolation: 'bicubic' };
const red = { r: 200, g: 30, b: 60 };
let folder: string;
let decoder: Decoder;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'decoder-'));
  decoder = await startDecoder({ concurrency: 3 });
});
afterAll(async () => {
  await decoder.close();
  await rm(folder, { recursive: true });
});

const file = (name: string) => join(folder, name);
const solid = (background: Colour = red, channels: 3 | 4 = 3, size = 16) =>
  sharp({ create: { width: size, height: size, channels, background } });

async function pixel(path: string, index = 0): Promise<number[]> {
  const pixels = await decoder.decode({ path }, target);
  expect(pixels.length).toBe(8 * 8 * 3);
  return [...pixels.subarray(index * 3, index * 3 + 3)];
}

function expectNear(values: number[], expected: number[], within: number): void {
  expected.forEach((value, index) =>
    expect(Math.abs(values[index]! - value), String(values)).toBeLessThanOrEqual(within),
  );
}

/** Noise, so that a truncated file loses something. */
function noise(width: number, height: number): Sharp {
  const pixels = Uint8Array.from({ length: width * height * 3 }, (_, index) => Math.imul(index, 2654435761) >>> 24);
  return sharp(pixels, { raw: { width, height, channels: 3 } });
}

describe('the decoder shows pictures as a viewer does', () => {
  it('keeps the pixels of a picture of the wanted size', async () => {
    await noise(8, 8).png().toFile(file('exact.png'));
    const expected = await noise(8, 8).raw().toBuffer();
    expect(Buffer.compare(await decoder.decode({ path: file('exact.png') }, target), expected)).toBe(0);
  });

  it('reads a JPEG as PIL does', async () => {
    // Made by fixtures/pil-resize.py; libraries of other builds may round the inverse cosine transform otherwise.
    const text = await readFile(new URL('../unit/data/fixtures/pil-jpeg.json', import.meta.url), 'utf8');
    const reference = z.object({ jpeg: z.base64(), pixels: z.base64() }).parse(JSON.parse(text));
    await writeFile(file('photo.jpg'), Buffer.from(reference.jpeg, 'base64'));
    const pixels = await decoder.decode({ path: file('photo.jpg') }, { ...target, width: 24, height: 24 });
    const expected = Buffer.from(reference.pixels, 'base64');
    const differences = expected.map((level, index) => Math.abs(level - pixels[index]!));
    expect(Math.max(...differences)).toBeLessThanOrEqual(2);
    expect(differences.reduce((sum, difference) => sum + difference, 0) / differences.length).toBeLessThan(0.1);
  });

  it('puts transparency on white', async () => {
    await solid({ r: 0, g: 0, b: 0, alpha: 0 }, 4).png().toFile(file('clear.png'));
    expect(await pixel(file('clear.png'))).toEqual([255, 255, 255]);
    await solid({ r: 0, g: 0, b: 0, alpha: 0.5 }, 4).webp({ lossless: true }).toFile(file('half.webp'));
    expectNear(await pixel(file('half.webp')), [127, 127, 127], 2);
  });

  it('turns pictures upright', async () => {
    const pixels = new Uint8Array(16 * 8 * 3).map((_, index) => (Math.floor(index / 3) % 16 < 8 ? 250 : 5));
    const wide = sharp(pixels, { raw: { width: 16, height: 8, channels: 3 } });
    await wide
      .withExif({ IFD0: { Orientation: '6' } })
      .withMetadata({ orientation: 6 })
      .jpeg()
      .toFile(file('turned.jpg'));
    const first = await pixel(file('turned.jpg'), 7);
    const last = await pixel(file('turned.jpg'), 56);
    expect(first[0]).toBeGreaterThan(200);
    expect(last[0]).toBeLessThan(50);
  });

  it('reads grey, 16-bit, CMYK, animated and misnamed files', async () => {
    await solid({ r: 90, g: 90, b: 90 }).toColourspace('b-w').png().toFile(file('grey.png'));
    expect((await sharp(file('grey.png')).metadata()).channels).toBe(1);
    expect(await pixel(file('grey.png'))).toEqual([90, 90, 90]);

    await solid().toColourspace('rgb16').png().toFile(file('deep.png'));
    expect((await sharp(file('deep.png')).metadata()).depth).toBe('ushort');
    expectNear(await pixel(file('deep.png')), [200, 30, 60], 1);

    await solid().toColourspace('cmyk').jpeg().toFile(file('print.jpg'));
    expect((await sharp(file('print.jpg')).metadata()).space).toBe('cmyk');
    expectNear(await pixel(file('print.jpg')), [200, 30, 60], 25);

    const frames = new Uint8Array(8 * 16 * 3).map((_, index) => (index < 8 * 8 * 3 ? 255 : 0));
    await sharp(frames, { raw: { width: 8, height: 16, channels: 3, pageHeight: 8 } })
      .gif({ delay: [50, 50] })
      .toFile(file('moving.gif'));
    expect((await sharp(file('moving.gif')).metadata()).pages).toBe(2);
    expect(await pixel(file('moving.gif'), 60)).toEqual([255, 255, 255]);

    await writeFile(file('misnamed.jpg'), await solid().png().toBuffer());
    expect(await pixel(file('misnamed.jpg'))).toEqual([200, 30, 60]);
  });

  it('crops the centre', async () => {
    const pixels = new Uint8Array(32 * 8 * 3).map((_, index) =>
      Math.abs((Math.floor(index / 3) % 32) - 15.5) < 4 ? 255 : 0,
    );
    await sharp(pixels, { raw: { width: 32, height: 8, channels: 3 } })
      .png()
      .toFile(file('centre.png'));
    const cropped = await decoder.decode({ path: file('centre.png') }, { ...target, fit: 'crop' });
    expect(new Set(cropped)).toEqual(new Set([255]));
  });
});

describe('the decoder names what it cannot read', () => {
  it.each([
    ['empty.jpg', async (path: string) => writeFile(path, ''), /is empty/],
    ['text.jpg', async (path: string) => writeFile(path, 'no picture'), /not that of a supported image format/],
    ['heic.jpg', async (path: string) => writeFile(path, '\0\0\0\x18ftypheic\0\0\0\0mif1heic'), /HEIC/],
    ['bmp.png', async (path: string) => writeFile(path, `BM${'\0'.repeat(60)}`), /BMP/],
    ['cut.jpg', cutShort('jpeg'), /cut short/],
    ['cut.png', cutShort('png'), /cut short/],
    ['cut.webp', cutShort('webp'), /cut short|damaged/],
    ['cut.gif', cutShort('gif'), /cut short|damaged/],
    ['huge.png', async (path: string) => writeFile(path, hugePng()), /more than 100 million pixels/],
  ] as const)('%s', async (name, make, reason) => {
    const path = file(name);
    await make(path);
    const error: unknown = await decoder.decode({ path }, target).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ name: 'Failure', code: 'image' });
    expect(String(error)).toContain(path);
    expect(String(error)).toMatch(reason);
    expect(String(error)).not.toContain('\n');
  });

  it('a missing file, and goes on', async () => {
    await expect(decoder.decode({ path: file('none.png') }, target)).rejects.toThrow(/missing/);
    await solid().png().toFile(file('fine.png'));
    expect(await pixel(file('fine.png'))).toEqual([200, 30, 60]);
  });
});

function cutShort(format: 'jpeg' | 'png' | 'webp' | 'gif') {
  return async (path: string): Promise<void> => {
    await noise(64, 64).toFormat(format).toFile(path);
    await truncate(path, Math.floor((await readFile(path)).length * 0.6));
  };
}

/** A PNG header that promises 20,000 x 20,000 pixels; a decoder must refuse it before it makes room for them. */
function hugePng(): Buffer {
  const chunk = Buffer.alloc(25);
  chunk.writeUInt32BE(13, 0);
  chunk.write('IHDR', 4);
  chunk.writeUInt32BE(20_000, 8);
  chunk.writeUInt32BE(20_000, 12);
  chunk.set([8, 2, 0, 0, 0], 16);
  chunk.writeUInt32BE(crc32(chunk.subarray(4, 21)), 21);
  const data = Buffer.from('0000000049444154', 'hex');
  return Buffer.concat([Buffer.from('89504e470d0a1a0a', 'hex'), chunk, data, Buffer.from('35af061e', 'hex')]);
}

function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  }
  return ~crc >>> 0;
}

describe('a decoder that dies', () => {
  it('is started again, and only the picture that kills it fails', async () => {
    const mined = await startDecoder({
      concurrency: 4,
      entry: new URL('../unit/data/fixtures/mined-decoder.ts', import.meta.url),
    });
    try {
      await solid().png().toFile(file('good.png'));
      const paths = Array.from({ length: 12 }, (_, index) => (index === 5 ? file('killer.png') : file('good.png')));
      const results = await Promise.allSettled(paths.map((path) => mined.decode({ path }, target)));
      expect(results.map((result) => result.status)).toEqual(
        paths.map((path) => (path.includes('killer') ? 'rejected' : 'fulfilled')),
      );
      expect(results[5]).toMatchObject({ reason: { code: 'image' } });
      expect(String((results[5] as PromiseRejectedResult).reason)).toContain('crashes on it');
      expect((await mined.decode({ path: file('good.png') }, target)).length).toBe(192);
    } finally {
      await mined.close();
    }
  });

  it('is started once more when it ends before it is ready', async () => {
    const mark = file('has-died');
    const entry = pathToFileURL(file('late.mjs'));
    await writeFile(
      file('late.mjs'),
      `import { existsSync, writeFileSync } from 'node:fs';
       if (!existsSync(${JSON.stringify(mark)})) {
         writeFileSync(${JSON.stringify(mark)}, '');
         process.kill(process.pid, 'SIGKILL');
       }
       process.on('disconnect', () => process.exit());
       process.send({ ready: true });`,
    );
    await (await startDecoder({ entry })).close();
    expect(await readFile(mark, 'utf8')).toBe('');
  });

  it('says so when it cannot be started', async () => {
    const entry = new URL(`file://${file('no-such-program.js')}`);
    await expect(startDecoder({ entry })).rejects.toThrow(/cannot be started/);
  });

  it('fails what is asked after it was closed', async () => {
    const closed = await startDecoder({ concurrency: 1 });
    const pending = closed.decode({ path: file('good.png') }, target);
    const outcome = expect(pending).rejects.toThrow(/closed/);
    await closed.close();
    await outcome;
    await expect(closed.decode({ path: file('good.png') }, target)).rejects.toThrow(/closed/);
  });

  it('ends when its parent disappears', async () => {
    const program = file('parent.mjs');
    const module = new URL('../../src-main/data/decode/start-decoder.ts', import.meta.url).href;
    await writeFile(
      program,
      `import { startDecoder } from ${JSON.stringify(module)};
       const decoder = await startDecoder({ concurrency: 1 });
       process.send(decoder.child.pid);`,
    );
    const parent = fork(program, { execArgv: ['--import', import.meta.resolve('tsx')] });
    const pid = await new Promise<number>((resolve) => parent.once('message', (message) => resolve(Number(message))));
    expect(isAlive(pid)).toBe(true);
    parent.kill('SIGKILL');
    for (let waited = 0; waited < 1200 && isAlive(pid); waited++)
      await new Promise((resolve) => setTimeout(resolve, 50));
    expect(isAlive(pid)).toBe(false);
  });
});

/** A process that ended but that nobody has waited for counts as ended. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  try {
    return !readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z ');
  } catch {
    return process.platform !== 'linux';
  }
}

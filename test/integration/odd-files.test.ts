import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import sharp, { type Sharp } from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { DecodeTarget, Decoder } from '../../src-main/data/decode/decoder.ts';
import { startDecoder } from '../../src-main/data/decode/start-decoder.ts';
import { importDataset } from '../../src-main/data/import.ts';
import { Workspace } from '../../src-main/workspace/workspace.ts';

/*
 * Every kind of odd or broken file, made from one picture, and what becomes of it: the colours of its corners where it
 * is read, else the sentence. odd-files.md is the same table for people; this test keeps it.
 */

const SIDE = 32;
const target: DecodeTarget = { width: 8, height: 8, fit: 'squash', cropPct: 1, interpolation: 'bilinear' };
/** Left half, right half. */
const [left, right] = [
  [200, 60, 40],
  [40, 90, 180],
];
const pixels = Uint8Array.from({ length: SIDE * SIDE * 3 }, (_, index) => {
  const x = Math.floor(index / 3) % SIDE;
  return (x < SIDE / 2 ? left : right)[index % 3]!;
});
const picture = () => sharp(pixels, { raw: { width: SIDE, height: SIDE, channels: 3 } });
const noisy = () =>
  sharp(
    pixels.map((level, index) => level ^ (Math.imul(index, 2654435761) >>> 27)),
    { raw: { width: SIDE, height: SIDE, channels: 3 } },
  );

type Make = (path: string) => Promise<unknown>;
const bytes =
  (make: () => Promise<Uint8Array | string> | Uint8Array | string): Make =>
  async (path) =>
    writeFile(path, await make());
const cut = (format: 'jpeg' | 'png' | 'webp' | 'gif' | 'tiff', fraction: number) =>
  bytes(async () => {
    const whole = await noisy().toFormat(format).toBuffer();
    return whole.subarray(0, Math.floor(whole.length * fraction));
  });

/** BMP of the picture: 24 bits, 8 bits with a palette (plain or in run lengths), 32 bits. */
function bmp(bits: 8 | 24 | 32, packed = false): Buffer {
  const palette = bits === 8 ? Buffer.from([left, right].flatMap(([r, g, b]) => [b!, g!, r!, 0])) : Buffer.alloc(0);
  const rows: number[] = [];
  for (let y = 0; y < SIDE; y++) {
    if (packed) rows.push(SIDE / 2, 0, SIDE / 2, 1, 0, y === SIDE - 1 ? 1 : 0);
    else
      for (let x = 0; x < SIDE; x++) {
        const [r, g, b] = (x < SIDE / 2 ? left : right) as [number, number, number];
        rows.push(...(bits === 8 ? [x < SIDE / 2 ? 0 : 1] : bits === 24 ? [b, g, r] : [b, g, r, 0]));
      }
  }
  const header = Buffer.alloc(54);
  header.write('BM');
  header.writeUInt32LE(54 + palette.length + rows.length, 2);
  header.writeUInt32LE(54 + palette.length, 10);
  header.writeUInt32LE(40, 14);
  header.writeInt32LE(SIDE, 18);
  header.writeInt32LE(SIDE, 22);
  header.writeUInt16LE(1, 26);
  header.writeUInt16LE(bits, 28);
  header.writeUInt32LE(packed ? 1 : 0, 30);
  header.writeUInt32LE(bits === 8 ? 2 : 0, 46);
  return Buffer.concat([header, palette, Buffer.from(rows)]);
}

/** Two frames, the picture and black. */
const frames = () =>
  sharp(Buffer.concat([pixels, Buffer.alloc(pixels.length)]), {
    raw: { width: SIDE, height: 2 * SIDE, channels: 3, pageHeight: SIDE },
  });

const orientations = Array.from({ length: 8 }, (_, index): [string, Make] => [
  `EXIF orientation ${index + 1}.jpg`,
  async (path) => {
    // Turned the other way first, so that a viewer shows the picture.
    const undo = [
      (image: Sharp) => image,
      (image: Sharp) => image.flop(),
      (image: Sharp) => image.rotate(180),
      (image: Sharp) => image.flip(),
      (image: Sharp) => image.rotate(270).flop(),
      (image: Sharp) => image.rotate(270),
      (image: Sharp) => image.rotate(90).flop(),
      (image: Sharp) => image.rotate(90),
    ][index]!;
    await undo(picture())
      .withMetadata({ orientation: index + 1 })
      .jpeg({ quality: 100, chromaSubsampling: '4:4:4' })
      .toFile(path);
  },
]);

const table: [string, Make][] = [
  ['plain.jpg', (path) => picture().jpeg({ quality: 100, chromaSubsampling: '4:4:4' }).toFile(path)],
  ['progressive.jpg', (path) => picture().jpeg({ quality: 100, progressive: true }).toFile(path)],
  ['plain.png', (path) => picture().png().toFile(path)],
  ['interlaced.png', (path) => picture().png({ progressive: true }).toFile(path)],
  ['palette.png', (path) => picture().png({ palette: true }).toFile(path)],
  ['16 bits.png', (path) => picture().toColourspace('rgb16').png().toFile(path)],
  ['grey.png', (path) => picture().toColourspace('b-w').png().toFile(path)],
  ['alpha.png', (path) => picture().ensureAlpha(0).png().toFile(path)],
  ['CMYK.jpg', (path) => picture().toColourspace('cmyk').jpeg({ quality: 100 }).toFile(path)],
  ['plain.webp', (path) => picture().webp({ lossless: true }).toFile(path)],
  ['plain.tif', (path) => picture().tiff().toFile(path)],
  ['plain.avif', (path) => picture().avif({ lossless: true }).toFile(path)],
  [
    'animated.gif',
    (path) =>
      frames()
        .gif({ delay: [50, 50] })
        .toFile(path),
  ],
  [
    'animated.webp',
    (path) =>
      frames()
        .webp({ lossless: true, delay: [50, 50] })
        .toFile(path),
  ],
  ...orientations,
  ['24 bits.bmp', bytes(() => bmp(24))],
  ['32 bits.bmp', bytes(() => bmp(32))],
  ['palette.bmp', bytes(() => bmp(8))],
  ['run lengths.bmp', bytes(() => bmp(8, true))],
  ['cut.bmp', bytes(() => bmp(24).subarray(0, 1000))],
  ['a PNG named.jpg', (path) => picture().png().toFile(path)],
  ['one pixel.png', (path) => picture().extract({ left: 0, top: 0, width: 1, height: 1 }).png().toFile(path)],
  ['long and thin.png', (path) => picture().resize(8000, 1, { fit: 'fill', kernel: 'nearest' }).png().toFile(path)],
  ['spaces, "quotes"\nand lines.png', (path) => picture().png().toFile(path)],
  ['größe.png', (path) => picture().png().toFile(path)],
  ['-rf.png', (path) => picture().png().toFile(path)],
  ['drawing named.png', bytes(() => '<svg xmlns="http://www.w3.org/2000/svg" width="8" height="8"/>')],
  ['HEIC named.jpg', bytes(() => '\0\0\0\x18ftypheic\0\0\0\0mif1heic')],
  ['empty.jpg', bytes(() => '')],
  ['text.jpg', bytes(() => 'no picture')],
  ['random bytes.jpg', bytes(() => Uint8Array.from({ length: 5000 }, (_, i) => Math.imul(i + 1, 2654435761) >>> 24))],
  ['Git LFS pointer.jpg', bytes(() => 'version https://git-lfs.github.com/spec/v1\noid sha256:0\n')],
  ...(['jpeg', 'png', 'webp', 'gif', 'tiff'] as const).flatMap((format) =>
    [0.02, 0.3, 0.6, 0.9].map((fraction): [string, Make] => [
      `cut at ${100 * fraction} percent.${format}`,
      cut(format, fraction),
    ]),
  ),
  [
    'over 100 million pixels.png',
    (path) =>
      sharp({ create: { width: 10_001, height: 10_000, channels: 3, background: '#000' } })
        .png({ compressionLevel: 1 })
        .toFile(path),
  ],
  ['folder named.jpg', (path) => mkdir(path)],
  ['pipe named.jpg', (path) => Promise.resolve(execFileSync('mkfifo', [path]))],
  ['device named.jpg', (path) => symlink('/dev/zero', path)],
  ['dangling link.jpg', (path) => symlink('nowhere', path)],
  ['link to itself.jpg', (path) => symlink(path, path)],
];

let folder: string;
let decoder: Decoder;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'odd-files-'));
  decoder = await startDecoder({ concurrency: 2 });
});
afterAll(async () => {
  await decoder.close();
  await rm(folder, { recursive: true });
});

async function outcomeOf(path: string): Promise<string> {
  try {
    const decoded = await decoder.decode({ path }, target);
    const at = (x: number) => [...decoded.subarray(3 * (8 * 4 + x), 3 * (8 * 4 + x) + 3)];
    const isNear = (found: number[], wanted: number[], within: number) =>
      found.every((level, index) => Math.abs(level - wanted[index]!) <= within);
    if (isNear(at(1), left, 4) && isNear(at(6), right, 4)) return 'read, as it is shown';
    if (isNear(at(1), left, 40) && isNear(at(6), right, 40)) return 'read, colours nearly as shown';
    return `read: ${at(1).join(' ')} on the left, ${at(6).join(' ')} on the right`;
  } catch (error) {
    return (error as Error).message.replaceAll(`${folder}/`, '');
  }
}

describe.skipIf(process.platform === 'win32')('odd files', () => {
  it('are read as a viewer shows them, or refused in the sentence of the table', async () => {
    const rows: string[] = [];
    for (const [name, make] of table) {
      const path = join(folder, 'files', name);
      await mkdir(dirname(path), { recursive: true });
      await make(path);
      const cell = (text: string) => text.replaceAll('\n', '\\n').replaceAll('|', '\\|');
      rows.push(`| ${cell(name)} | ${cell(await outcomeOf(path))} |`);
    }
    const text = ['# Odd files', '', '| file | what becomes of it |', '| --- | --- |', ...rows, ''].join('\n');
    await expect(text).toMatchFileSnapshot('odd-files.md');
    expect(text).not.toMatch(/\n {4}at |node_modules/);
  });

  it('leave the rest of their folder to be imported', async () => {
    const root = join(folder, 'set');
    for (const name of ['a/1.png', 'a/2.png', 'b/1.png', 'b/2.png']) {
      await mkdir(dirname(join(root, name)), { recursive: true });
      const shade = Buffer.from(name).reduce((sum, byte) => (7 * sum + byte) % 256, 0);
      await sharp({ create: { width: 4, height: 4, channels: 3, background: { r: shade, g: 9, b: 9 } } }).toFile(
        join(root, name),
      );
    }
    for (const name of ['.DS_Store', 'Thumbs.db', '._1.png']) await writeFile(join(root, 'a', name), 'hidden');
    for (const name of ['notes.txt', 'more.txt']) await writeFile(join(root, 'a', name), 'notes');
    execFileSync('mkfifo', [join(root, 'a', 'pipe.jpg')]);
    await writeFile(join(root, 'b', 'empty.jpg'), '');
    const workspace = await Workspace.open(join(folder, 'workspace'));
    const { images, problems } = await importDataset(workspace, root, {}, { decoder });
    expect(images.map(({ path }) => path)).toEqual(['a/1.png', 'a/2.png', 'b/1.png', 'b/2.png']);
    expect(problems.map(({ kind }) => kind)).toEqual(['not-file', 'not-image', 'bad-image']);
    expect(problems[1]!.message).toContain('2 files with other endings');
  });
});

describe('a decoder beside the GLib of the system', () => {
  const library = ['/usr/lib/x86_64-linux-gnu', '/usr/lib/aarch64-linux-gnu', '/usr/lib64']
    .map((place) => join(place, 'libgobject-2.0.so.0'))
    .find((path) => {
      try {
        execFileSync('test', ['-e', path]);
        return true;
      } catch {
        return false;
      }
    });
  if (library === undefined) process.stderr.write('SKIPPED: no libgobject-2.0.so.0 (Debian: libglib2.0-0)\n');

  it.skipIf(library === undefined)('decodes 300 pictures', async () => {
    const path = join(folder, 'glib.jpg');
    await picture().jpeg({ quality: 100, chromaSubsampling: '4:4:4' }).toFile(path);
    const program = join(folder, 'glib.mts');
    const module = new URL('../../src-main/data/decode/decode-image.ts', import.meta.url).href;
    await writeFile(
      program,
      `import { decodeImage } from ${JSON.stringify(module)};
       const [path, target] = ${JSON.stringify([{ path }, target])};
       const wanted = Buffer.from(await decodeImage(path, target));
       for (let round = 0; round < 60; round++)
         for (const found of await Promise.all(Array.from({ length: 5 }, () => decodeImage(path, target))))
           if (!wanted.equals(found)) process.exit(3);
       console.log('300 equal');`,
    );
    const printed = execFileSync(process.execPath, ['--import', import.meta.resolve('tsx'), program], {
      env: { ...process.env, LD_PRELOAD: library },
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    expect(printed.toString()).toContain('300 equal');
    expect((await readFile(path)).length).toBeGreaterThan(0);
  });
});

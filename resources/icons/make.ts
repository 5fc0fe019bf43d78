/** Makes the app's icons of all systems from the window's own: `node --import tsx resources/icons/make.ts`. */
import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

/** Side in pixels -> the type of ICNS entry that holds a PNG of it; some sizes stand for a smaller one at twice the density. */
const ICNS_TYPES: readonly (readonly [side: number, type: string])[] = [
  [32, 'ic11'],
  [64, 'ic12'],
  [128, 'ic07'],
  [256, 'ic08'],
  [256, 'ic13'],
  [512, 'ic09'],
  [512, 'ic14'],
  [1024, 'ic10'],
];

const drawing = await readFile(here('../../src-renderer/public/icon.svg'));

/** @param margin share of the side that stays empty all around, as Apple's icons have it */
async function drawn(side: number, margin = 0): Promise<Buffer> {
  const inner = Math.round(side * (1 - 2 * margin));
  const before = Math.floor((side - inner) / 2);
  const after = side - inner - before;
  return sharp(drawing, { density: (72 * inner) / 32 })
    .resize(inner, inner)
    .extend({ top: before, left: before, bottom: after, right: after, background: { r: 0, g: 0, b: 0, alpha: 0 } })
    .png({ compressionLevel: 9 })
    .toBuffer();
}

/** Windows' container: a directory of 16 bytes an entry, then the PNGs. */
function ico(pictures: readonly { side: number; png: Buffer }[]): Buffer {
  const directory = Buffer.alloc(6 + 16 * pictures.length);
  directory.writeUInt16LE(1, 2);
  directory.writeUInt16LE(pictures.length, 4);
  let offset = directory.length;
  for (const [index, { side, png }] of pictures.entries()) {
    const at = 6 + 16 * index;
    // 256 does not fit, and is written as 0.
    directory.writeUInt8(side % 256, at);
    directory.writeUInt8(side % 256, at + 1);
    directory.writeUInt16LE(1, at + 4);
    directory.writeUInt16LE(32, at + 6);
    directory.writeUInt32LE(png.length, at + 8);
    directory.writeUInt32LE(offset, at + 12);
    offset += png.length;
  }
  return Buffer.concat([directory, ...pictures.map(({ png }) => png)]);
}

/** Apple's container: the whole's length, then type, length and content of each entry, big-endian. */
function icns(entries: readonly { type: string; png: Buffer }[]): Buffer {
  const chunk = (type: string, content: Buffer): Buffer => {
    const head = Buffer.alloc(8);
    head.write(type, 'latin1');
    head.writeUInt32BE(8 + content.length, 4);
    return Buffer.concat([head, content]);
  };
  return chunk('icns', Buffer.concat(entries.map(({ type, png }) => chunk(type, png))));
}

const sizes = await Promise.all(
  [16, 24, 32, 48, 64, 128, 256, 512].map(async (side) => ({ side, png: await drawn(side) })),
);
for (const { side, png } of sizes) await writeFile(here(`${side}x${side}.png`), png);
await writeFile(here('icon.ico'), ico(sizes.filter(({ side }) => side <= 256)));
const apple = await Promise.all(ICNS_TYPES.map(async ([side, type]) => ({ type, png: await drawn(side, 0.1) })));
await writeFile(here('icon.icns'), icns(apple));

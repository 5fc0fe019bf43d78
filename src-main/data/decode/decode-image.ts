import { readFile } from 'node:fs/promises';
import sharp from 'sharp';
import { Failure } from '../../base/failure.ts';
import type { DecodeTarget } from './decoder.ts';
import { placePicture } from './geometry.ts';
import { resample } from './resample.ts';

/** Above this a picture would take over 300 MB in memory, or is made to do harm. */
export const mostPixels = 100_000_000;

sharp.cache(false);
// Several pictures are decoded at once; threads inside one would only get in each other's way.
sharp.concurrency(1);

/**
 * Decodes one file and resizes it to `target`.
 * @returns RGB, target.height * target.width * 3 bytes, row-major
 * @throws Failure `image`, naming the file
 */
export async function decodeImage(path: string, target: DecodeTarget): Promise<Uint8Array> {
  const bytes = await readBytes(path);
  try {
    const { data, info } = await sharp(bytes, { limitInputPixels: mostPixels, failOn: 'truncated' })
      .autoOrient()
      .flatten({ background: '#ffffff' })
      .toColourspace('srgb')
      .raw({ depth: 'uchar' })
      .toBuffer({ resolveWithObject: true });
    const pixels = info.channels === 3 ? data : spreadGrey(data, info.channels);
    const { resized, window } = placePicture(info, target);
    return resample(pixels, info, resized, target.interpolation, window);
  } catch (error) {
    throw unreadable(path, reasonOf(bytes, error), error);
  }
}

async function readBytes(path: string): Promise<Buffer> {
  let bytes: Buffer;
  try {
    bytes = await readFile(path);
  } catch (error) {
    throw unreadable(path, 'the file is missing or may not be read', error);
  }
  if (bytes.length === 0) throw unreadable(path, 'the file is empty');
  return bytes;
}

function spreadGrey(data: Uint8Array, channels: number): Uint8Array {
  const pixels = new Uint8Array((data.length / channels) * 3);
  for (let index = 0; index < pixels.length; index++) pixels[index] = data[Math.floor(index / 3) * channels]!;
  return pixels;
}

function unreadable(path: string, reason: string, cause?: unknown): Failure {
  return new Failure('image', `"${path}" cannot be read as an image: ${reason}.`, { cause });
}

function reasonOf(bytes: Buffer, error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  if (/pixel limit/.test(message)) return `it has more than ${mostPixels / 1e6} million pixels; scale it down`;
  const brand = bytes.toString('latin1', 4, 12);
  if (/^ftyp(hei|hev|mif1|msf1)/.test(brand)) return 'it is HEIC, which is not supported; save it as JPEG or PNG';
  if (bytes.toString('latin1', 0, 2) === 'BM') return 'it is BMP, which is not supported; save it as PNG';
  if (/unsupported image format/.test(message)) return 'its content is not that of a supported image format';
  if (/premature end|truncat|ended prematurely|end of stream|not enough data|read gave|unexpected end/i.test(message))
    return 'it is cut short';
  return `it is damaged or cut short (${firstLine(message)})`;
}

function firstLine(message: string): string {
  return message.split('\n', 1)[0]!.trim().replace(/\.$/, '');
}

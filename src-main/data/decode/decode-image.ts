import sharp, { type Sharp } from 'sharp';
import { hashContent, readContent } from '../image-content.ts';
import type { ImageContent } from '../packed/kept-picture.ts';
import { unreadableImage, type Picture } from '../image-reference.ts';
import { beginsAsLfsPointer } from '../lfs-pointer.ts';
import { decodeBmp, isBmp, pixelsOfBmp } from './bmp.ts';
import type { DecodeTarget } from './decoder.ts';
import { placePicture } from './geometry.ts';
import { lookAt, type Pixels } from './look-at.ts';
import { resample } from './resample.ts';

/** Above this a picture would take over 300 MB in memory, or is made to do harm. */
export const mostPixels = 100_000_000;

sharp.cache(false);
// Drawings have no pixels of their own, and may refer to other files.
sharp.block({ operation: ['VipsForeignLoadSvg'] });
// Several pictures are decoded at once; threads inside one would only get in each other's way.
sharp.concurrency(1);

/**
 * Decodes one picture and resizes what is looked at of it to `target`.
 * @returns RGB, target.height * target.width * 3 bytes, row-major
 * @throws Failure `image`, naming the file
 */
export async function decodeImage(image: Picture, target: DecodeTarget): Promise<Uint8Array> {
  const whole = await decodeContent(image, await readContent(image));
  const { pixels, size } = image.view ? lookAt(whole, image.view) : whole;
  const { resized, window } = placePicture(size, target);
  return resample(pixels, size, resized, target.interpolation, window);
}

/** A small picture of one, as JPEG; `longest` side in pixels. @throws Failure `image` */
export async function thumbnailOf(image: Picture, longest: number): Promise<Uint8Array> {
  const { pixels, size } = await decodeContent(image, await readContent(image));
  return sharp(pixels, { raw: { ...size, channels: 3 } })
    .resize(longest, longest, { fit: 'inside', withoutEnlargement: true })
    .jpeg({ quality: 85 })
    .toBuffer();
}

/** Decodes one picture for nothing but the hash of its content. @throws Failure `image` */
export async function checkImage(image: Picture): Promise<string> {
  const content = await readContent(image);
  await decodeContent(image, content);
  return hashContent(content);
}

/** The whole picture, upright. */
async function decodeContent(image: Picture, content: ImageContent): Promise<Pixels> {
  if ('grey' in content) return { pixels: spreadGrey(content.grey, 1), size: content };
  const bytes = content.encoded;
  const limit = image.mostPixels ?? mostPixels;
  if (bytes.length === 0) throw unreadableImage(image, 'it is empty');
  try {
    const { data, info } = await openSharp(bytes, limit)
      .autoOrient()
      .flatten({ background: '#ffffff' })
      .toColourspace('srgb')
      .raw({ depth: 'uchar' })
      .toBuffer({ resolveWithObject: true });
    return { pixels: info.channels === 3 ? data : spreadGrey(data, info.channels), size: info };
  } catch (error) {
    throw unreadableImage(image, reasonOf(bytes, error, limit), error);
  }
}

function openSharp(bytes: Buffer, limit: number): Sharp {
  // The TIFF reader calls missing strips an error and not a truncation, and would leave them black.
  const failOn = /^(II\*\0|MM\0\*)/.test(bytes.toString('latin1', 0, 4)) ? 'error' : 'truncated';
  if (!isBmp(bytes)) return sharp(bytes, { limitInputPixels: limit, failOn });
  if (pixelsOfBmp(bytes) > limit) throw new Error('pixel limit');
  const { data, width, height } = decodeBmp(bytes);
  return sharp(data, { raw: { width, height, channels: 4 } });
}

function spreadGrey(data: Uint8Array, channels: number): Uint8Array {
  const pixels = new Uint8Array((data.length / channels) * 3);
  for (let index = 0; index < pixels.length; index++) pixels[index] = data[Math.floor(index / 3) * channels]!;
  return pixels;
}

function reasonOf(bytes: Buffer, error: unknown, limit: number): string {
  const message = error instanceof Error ? error.message : String(error);
  if (/pixel limit/.test(message)) return `it has more than ${limit / 1e6} million pixels; scale it down`;
  const brand = bytes.toString('latin1', 4, 12);
  if (/^ftyp(hei|hev|mif1|msf1)/.test(brand)) return 'it is HEIC, which is not supported; save it as JPEG or PNG';
  if (beginsAsLfsPointer(bytes)) return 'it is a Git LFS pointer; fetch the picture with "git lfs pull"';
  if (isBmp(bytes)) return 'it is a BMP that is damaged or cut short';
  if (bytes.toString('latin1', 0, 1000).includes('<svg')) return 'it is SVG, a drawing; save it as PNG';
  if (/unsupported image format/.test(message)) return 'its content is not that of a supported image format';
  if (/premature end|truncat|ended prematurely|end of stream|not enough data|read gave|unexpected end/i.test(message))
    return 'it is cut short';
  const detail = firstLine(message);
  return `it is damaged or cut short${/unknown error/i.test(detail) ? '' : ` (${detail})`}`;
}

function firstLine(message: string): string {
  return message.split('\n', 1)[0]!.replace(/[.:\s]+$/, '');
}

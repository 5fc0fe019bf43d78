import { createHash } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { Failure } from '../base/failure.ts';
import { unreadableImage, type Picture } from './image-reference.ts';
import type { ImageContent } from './packed/kept-picture.ts';
import { readPacked } from './packed/packed-file.ts';

/** No picture of at most 100 million pixels is larger. */
const MOST_BYTES = 1e9;

/** @throws Failure `image` where there is nothing to read */
export async function readContent(image: Picture): Promise<ImageContent> {
  const { encoded } = image;
  if (encoded) return { encoded: Buffer.from(encoded.buffer, encoded.byteOffset, encoded.byteLength) };
  if (image.entry !== undefined) return readPacked(image.path, image.entry);
  try {
    const status = await stat(image.path);
    // Reading a pipe would wait for ever.
    if (!status.isFile())
      throw unreadableImage(image, status.isDirectory() ? 'it is a folder' : 'it is a pipe, socket or device');
    if (status.size > MOST_BYTES) throw unreadableImage(image, 'it is larger than 1 GB');
    return { encoded: await readFile(image.path) };
  } catch (error) {
    if (error instanceof Failure) throw error;
    throw unreadableImage(image, 'the file is missing or may not be read', error);
  }
}

/** SHA-256 in hexadecimal: of a file the usual one, so equal pictures are found however they are packed. */
export function hashContent(content: ImageContent): string {
  const hash = createHash('sha256');
  if ('encoded' in content) hash.update(content.encoded);
  else hash.update(`${content.width} x ${content.height}\n`).update(content.grey);
  return hash.digest('hex');
}

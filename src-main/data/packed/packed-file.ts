import { open, stat } from 'node:fs/promises';
import { Failure } from '../../base/failure.ts';
import { unreadableImage } from '../image-reference.ts';
import type { ImageContent, PackedFile } from './kept-picture.ts';
import { openIdxFile } from './idx-file.ts';
import { openParquetFile } from './parquet-file.ts';

/** Open at once in a process: the splits of a set are read one after the other. */
const MOST_OPEN = 2;

/** By path, size and time, so that a file that was replaced is opened anew; the least recently used first. */
const opened = new Map<string, Promise<PackedFile>>();

/** One entry of a packed file, which stays open for those that follow. @throws Failure `image` */
export async function readPacked(path: string, entry: number): Promise<ImageContent> {
  const image = { path, entry };
  const status = await stat(path).catch((error: unknown) => {
    throw unreadableImage(image, 'the file is missing or may not be read', error);
  });
  const key = `${path} ${status.size} ${status.mtimeMs}`;
  const file = opened.get(key) ?? openPackedFile(path);
  opened.delete(key);
  opened.set(key, file);
  for (const old of [...opened.keys()].slice(0, -MOST_OPEN)) opened.delete(old);
  try {
    return await (await file).read(entry);
  } catch (error) {
    if (error instanceof Failure && error.code === 'image') throw error;
    opened.delete(key);
    const known = error instanceof Failure;
    throw unreadableImage(image, known ? error.message.replace(/\.$/, '') : 'the file is damaged or cut short', error);
  }
}

async function openPackedFile(path: string): Promise<PackedFile> {
  return (await startsWith(path, 'PAR1')) ? openParquetFile(path) : openIdxFile(path);
}

async function startsWith(path: string, magic: string): Promise<boolean> {
  const file = await open(path, 'r');
  try {
    const { buffer } = await file.read(Buffer.alloc(magic.length), 0, magic.length, 0);
    return buffer.toString('latin1') === magic;
  } finally {
    await file.close();
  }
}

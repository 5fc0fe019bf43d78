import { open, readFile, stat } from 'node:fs/promises';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { Failure } from '../../base/failure.ts';
import { unreadableImage } from '../image-reference.ts';
import type { ImageContent, PackedFile } from './kept-picture.ts';

/*
 * IDX, the format of MNIST (http://yann.lecun.com/exdb/mnist): two zero bytes, the type of the values (8: bytes), the
 * number of dimensions, each dimension as a big-endian 32-bit number, then the values.
 */

/** A gzipped file is held unpacked: MNIST takes 47 MB, and no known set more than some hundreds. */
const MOST_UNPACKED_BYTES = 2 ** 31 - 1;

export class IdxFile implements PackedFile {
  private constructor(
    private readonly path: string,
    /** The whole file where it was gzipped; else it is read piece by piece. */
    private readonly unpacked: Buffer | undefined,
    /** [items] for labels, [items, height, width] for pictures. */
    readonly shape: readonly number[],
  ) {}

  /** @throws Failure `dataset` where it is no IDX file of bytes, or cut short */
  static async open(path: string): Promise<IdxFile> {
    const unpacked = await unpack(path);
    const start = unpacked ? unpacked.subarray(0, 16) : await readPiece(path, 0, 16);
    const dimensions = start[3] ?? 0;
    if (start.length < 4 || start.readUIntBE(0, 3) !== 8 || dimensions < 1 || dimensions > 3)
      throw new Failure('dataset', `"${path}" is not an IDX file of labels or grey pictures: it begins otherwise.`);
    const headerBytes = 4 + 4 * dimensions;
    if (start.length < headerBytes) throw cutShort(path, 'in its header');
    const shape = Array.from({ length: dimensions }, (_, index) => start.readUInt32BE(4 + 4 * index));
    const file = new IdxFile(path, unpacked, shape);
    const bytes = unpacked?.length ?? (await stat(path)).size;
    if (bytes < headerBytes + shape[0]! * file.itemBytes)
      throw cutShort(path, `after ${Math.floor((bytes - headerBytes) / file.itemBytes)} of ${shape[0]!} items`);
    return file;
  }

  private get itemBytes(): number {
    return this.shape.slice(1).reduce((product, size) => product * size, 1);
  }

  /** The bytes of `count` items from `first` on. */
  async items(first: number, count: number): Promise<Buffer> {
    const from = 4 + 4 * this.shape.length + first * this.itemBytes;
    const bytes = count * this.itemBytes;
    return this.unpacked ? this.unpacked.subarray(from, from + bytes) : readPiece(this.path, from, bytes);
  }

  async read(entry: number): Promise<ImageContent> {
    const [count = 0, height = 0, width = 0] = this.shape.length === 3 ? this.shape : [];
    if (entry >= count) throw unreadableImage({ path: this.path, entry }, `the file holds ${count} pictures`);
    return { grey: await this.items(entry, 1), width, height };
  }
}

export const openIdxFile = (path: string): Promise<IdxFile> => IdxFile.open(path);

/** The content of a gzipped file, by its first bytes and not its name; undefined for others. */
async function unpack(path: string): Promise<Buffer | undefined> {
  const magic = await readPiece(path, 0, 2);
  if (magic.length < 2 || magic.readUInt16BE(0) !== 0x1f8b) return undefined;
  try {
    return await promisify(gunzip)(await readFile(path), { maxOutputLength: MOST_UNPACKED_BYTES });
  } catch (error) {
    throw new Failure('dataset', `"${path}" cannot be unpacked: it is damaged or cut short.`, { cause: error });
  }
}

async function readPiece(path: string, from: number, bytes: number): Promise<Buffer> {
  const file = await open(path, 'r');
  try {
    const piece = Buffer.alloc(bytes);
    const { bytesRead } = await file.read(piece, 0, bytes, from);
    return piece.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}

function cutShort(path: string, where: string): Failure {
  return new Failure('dataset', `"${path}" is cut short: it ends ${where}.`);
}

import { copyFile, mkdtemp, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hashContent, readContent } from '../../../src-main/data/image-content.ts';
import { nameOfImage } from '../../../src-main/data/image-reference.ts';
import { IdxFile } from '../../../src-main/data/packed/idx-file.ts';
import { ParquetFile } from '../../../src-main/data/packed/parquet-file.ts';
import { idxOf } from './idx.ts';

const fixtures = join(import.meta.dirname, 'fixtures/parquet');
const shard = join(fixtures, 'data/train-00000-of-00002.parquet');
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'packed-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function colourOf(path: string, entry: number): Promise<number[]> {
  const content = await readContent({ path, entry });
  if (!('encoded' in content)) throw new Error('not encoded');
  const { data, info } = await sharp(content.encoded).raw().toBuffer({ resolveWithObject: true });
  expect([info.width, info.height]).toEqual([6, 5]);
  return [...data.subarray(0, 3)];
}

describe('a parquet file', () => {
  it('gives the picture of each row, across row groups and in any order', async () => {
    for (const row of [0, 9, 3, 4, 7]) {
      const expected = [row, row, row].map((shade, channel) => (channel === row % 3 ? 255 - shade : shade));
      expect(await colourOf(shard, row)).toEqual(expected);
    }
  });

  it('gives its columns, rows and notes', async () => {
    const file = await ParquetFile.open(shard);
    expect([file.rows, file.columns, file.imageColumn]).toEqual([10, ['id', 'image', 'label'], 'image']);
    expect(file.note('huggingface')).toContain('"green"');
    const labels: unknown[] = [];
    for await (const some of file.column('label')) labels.push(...some);
    expect(labels.map(Number)).toEqual([0, 1, 2, 0, 1, 2, 0, 1, 2, 0]);
  });

  it('says which row holds no picture, and what is no parquet', async () => {
    const odd = join(fixtures, 'odd.parquet');
    await expect(readContent({ path: odd, entry: 0 })).rejects.toMatchObject({
      code: 'image',
      message: `"${odd}" (row 0) cannot be read as an image: the row holds no bytes of a picture.`,
    });
    expect(await colourOf(odd, 4)).toEqual([44, 44, 44].map((shade, channel) => (channel === 2 ? 211 : shade)));
    await expect(readContent({ path: odd, entry: 5 })).rejects.toThrow(/the file holds 5 rows/);
    const cut = join(folder, 'cut.parquet');
    await copyFile(shard, cut);
    await truncate(cut, 900);
    await expect(readContent({ path: cut, entry: 0 })).rejects.toMatchObject({ code: 'image' });
    await expect(ParquetFile.open(cut)).rejects.toThrow(/not a whole parquet file/);
  });
});

describe('an IDX file', () => {
  const pixels = Uint8Array.from({ length: 3 * 4 * 2 }, (_, index) => index * 10);
  const bytes = idxOf([3, 4, 2], pixels);

  it.each(['plain', 'gzipped'])('gives its items, %s', async (how) => {
    const path = join(folder, how);
    await writeFile(path, how === 'plain' ? bytes : gzipSync(bytes));
    expect((await IdxFile.open(path)).shape).toEqual([3, 4, 2]);
    const content = await readContent({ path, entry: 1 });
    expect(content).toEqual({ grey: Buffer.from(pixels.subarray(8, 16)), width: 2, height: 4 });
    const flat = { grey: pixels.subarray(8, 16), width: 8, height: 1 };
    expect(hashContent(content)).not.toBe(hashContent(flat));
    await expect(readContent({ path, entry: 3 })).rejects.toThrow(/\(row 3\) .*: the file holds 3 pictures/);
  });

  it('is opened anew when it was replaced', async () => {
    const path = join(folder, 'replaced');
    await writeFile(path, bytes);
    await readContent({ path, entry: 0 });
    await writeFile(path, idxOf([1, 1, 1], Uint8Array.of(7)));
    expect(await readContent({ path, entry: 0 })).toMatchObject({ width: 1, height: 1 });
  });

  it.each([
    ['empty', Buffer.alloc(0), /not an IDX file/],
    ['text', Buffer.from('no pictures at all'), /not an IDX file/],
    ['header cut', bytes.subarray(0, 10), /cut short: it ends in its header/],
    ['cut', bytes.subarray(0, 16 + 17), /cut short: it ends after 2 of 3 items/],
    ['gzip cut', gzipSync(bytes).subarray(0, 30), /cannot be unpacked/],
    ['floats', Buffer.concat([Buffer.from([0, 0, 0x0d, 3]), bytes.subarray(4)]), /not an IDX file/],
  ])('%s is refused', async (name, content, reason) => {
    const path = join(folder, name);
    await writeFile(path, content);
    await expect(IdxFile.open(path)).rejects.toThrow(reason);
    await expect(readContent({ path, entry: 0 })).rejects.toMatchObject({ code: 'image' });
  });
});

it('a missing packed file is a sentence', async () => {
  const image = { path: join(folder, 'none.parquet'), entry: 3 };
  await expect(stat(image.path)).rejects.toThrow();
  await expect(readContent(image)).rejects.toThrow(
    `${nameOfImage(image)} cannot be read as an image: the file is missing or may not be read.`,
  );
});

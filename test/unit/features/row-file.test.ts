import { mkdtemp, open, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  HEADER_RESERVE,
  rowBytesOf,
  RowFileReader,
  RowFileWriter,
  type RowTensor,
} from '../../../src-main/features/row-file.ts';
import { readSafetensors } from '../../../src-main/workspace/safetensors.ts';

const columns: RowTensor[] = [
  { name: 'sums', dtype: 'F32', shape: [2] },
  { name: 'map', dtype: 'F16', shape: [2, 3] },
];
const ROWS = 5;

let folder: string;
let path: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rows-'));
  path = join(folder, 'P1_1.safetensors');
});
afterEach(() => rm(folder, { recursive: true }));

function rowsOf(first: number, count: number) {
  return {
    sums: Float32Array.from({ length: count * 2 }, (_, i) => first * 2 + i + 0.5),
    map: Uint16Array.from({ length: count * 6 }, (_, i) => first * 6 + i),
  };
}

async function write(): Promise<void> {
  const writer = await RowFileWriter.create(path, columns, ROWS);
  await writer.write(2, 3, rowsOf(2, 3));
  await writer.write(0, 2, rowsOf(0, 2));
  await writer.finish({ scale: '4' });
}

async function mapRow(reader: RowFileReader, row: number): Promise<Uint16Array> {
  const bytes = new Uint8Array(reader.rowBytes('map'));
  await reader.read('map', row, bytes);
  return new Uint16Array(bytes.buffer);
}

it('gives back every row, written in any order, and is a safetensors file', async () => {
  await write();
  const reader = await RowFileReader.open(path);
  expect(reader.rows).toBe(ROWS);
  expect(reader.metadata.scale).toBe('4');
  for (let row = 0; row < ROWS; row++) expect([...(await mapRow(reader, row))]).toEqual([...rowsOf(row, 1).map]);
  await reader.close();
  const { tensors } = await readSafetensors(path);
  expect(tensors.get('map')?.shape).toEqual([ROWS, 2, 3]);
  expect(tensors.get('sums')?.dtype).toBe('F32');
});

it('has its name only when it is whole', async () => {
  const writer = await RowFileWriter.create(path, columns, ROWS);
  await writer.write(0, 5, rowsOf(0, 5));
  expect(await readdir(folder)).not.toContain('P1_1.safetensors');
  await writer.abandon();
  expect(await readdir(folder)).toEqual([]);
});

it('takes as many bytes as it says beforehand', async () => {
  await write();
  expect((await readFile(path)).length).toBe(HEADER_RESERVE + ROWS * rowBytesOf(columns));
});

describe('damage', () => {
  it('to one row is found when that row is read, and leaves the others readable', async () => {
    await write();
    const bytes = await readFile(path);
    const place = bytes.lastIndexOf(Buffer.from(rowsOf(3, 1).map.buffer));
    bytes[place + 2]! ^= 1;
    await writeFile(path, bytes);
    const reader = await RowFileReader.open(path);
    expect([...(await mapRow(reader, 2))]).toEqual([...rowsOf(2, 1).map]);
    await expect(mapRow(reader, 3)).rejects.toThrow('is damaged: delete it, and it is extracted anew');
    await reader.close();
  });

  it('to the checksums themselves is found on opening', async () => {
    await write();
    const file = await open(path, 'r+');
    await file.write(Uint8Array.of(1, 2, 3, 4), 0, 4, 8192);
    await file.close();
    await expect(RowFileReader.open(path)).rejects.toThrow('is damaged');
  });

  it('by cutting the file short at any length is found on opening', async () => {
    await write();
    const { length } = await readFile(path);
    for (const size of [0, 5, 100, 8191, 8200, length - 1]) {
      await truncate(path, size);
      await expect(RowFileReader.open(path), `cut to ${size}`).rejects.toMatchObject({
        code: 'damaged-features',
        message: `The feature file "${path}" is damaged: delete it, and it is extracted anew at the next start.`,
      });
      await write();
    }
  });
});

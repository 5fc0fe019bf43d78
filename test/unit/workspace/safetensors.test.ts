import { mkdtemp, open, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Failure } from '../../../src-main/base/failure.ts';
import {
  encodeSafetensors,
  encodeSafetensorsHeader,
  placeTensors,
  readSafetensors,
  readSafetensorsHeader,
  tensorBytes,
  writeSafetensors,
} from '../../../src-main/workspace/safetensors.ts';
import type { SafetensorsDtype, SafetensorsTensor } from '../../../src-main/workspace/safetensors.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'safetensors-'));
});
afterAll(() => rm(folder, { recursive: true }));

const dtypes: SafetensorsDtype[] = ['F16', 'F32', 'I32', 'U32', 'I64', 'U8', 'BOOL'];

/** A small linear congruential generator: the same tensors on every run. */
function generator(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

function randomTensors(seed: number): Map<string, SafetensorsTensor> {
  const next = generator(seed);
  const tensors = new Map<string, SafetensorsTensor>();
  for (let index = 0; index < 1 + next(8); index++) {
    const dtype = dtypes[next(dtypes.length)] ?? 'F32';
    const shape = Array.from({ length: next(4) }, () => next(6));
    const data = Uint8Array.from({ length: tensorBytes({ dtype, shape }) }, () => next(256));
    tensors.set(`tensor ${index} "ü"\n`, { dtype, shape, data });
  }
  return tensors;
}

async function expectDamaged(bytes: Uint8Array, reason: RegExp): Promise<void> {
  const path = join(folder, 'damaged.safetensors');
  await writeFile(path, bytes);
  const error: unknown = await readSafetensors(path).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(Failure);
  expect((error as Failure).message).toContain(path);
  expect((error as Failure).message).toMatch(reason);
}

function withHeader(header: unknown, dataBytes: number): Uint8Array {
  const json = typeof header === 'string' ? header : JSON.stringify(header);
  const bytes = Buffer.alloc(8 + json.length + dataBytes);
  bytes.writeBigUInt64LE(BigInt(json.length));
  bytes.write(json, 8);
  return bytes;
}

describe('safetensors', () => {
  it('reads back what it wrote, aligned to each type', async () => {
    for (let seed = 1; seed <= 40; seed++) {
      const path = join(folder, `${seed}.safetensors`);
      const tensors = randomTensors(seed);
      await writeSafetensors(path, tensors, { seed: String(seed) });
      const read = await readSafetensors(path);
      expect(read.metadata).toEqual({ seed: String(seed) });
      expect([...read.tensors.keys()].sort()).toEqual([...tensors.keys()].sort());
      for (const [name, tensor] of tensors) {
        const back = read.tensors.get(name);
        expect(back?.dtype).toBe(tensor.dtype);
        expect(back?.shape).toEqual(tensor.shape);
        expect(Buffer.compare(back?.data ?? Buffer.of(), tensor.data)).toBe(0);
        expect((back?.data.byteOffset ?? 1) % tensorBytes({ dtype: tensor.dtype, shape: [] })).toBe(0);
      }
    }
    expect((await readdir(folder)).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });

  it('writes the published layout', () => {
    const data = new Uint8Array(Float32Array.of(1, 2).buffer);
    const [header, body] = encodeSafetensors(new Map([['a', { dtype: 'F32' as const, shape: [2], data }]]));
    const length = new DataView(header!.buffer).getBigUint64(0, true);
    expect(Number(length) + 8).toBe(header!.length);
    expect(header!.length % 8).toBe(0);
    expect(JSON.parse(new TextDecoder().decode(header!.subarray(8)).trimEnd())).toEqual({
      __metadata__: { checksum: expect.stringMatching(/^\d+$/) as string },
      a: { dtype: 'F32', shape: [2], data_offsets: [0, 8] },
    });
    expect(body).toBe(data);
  });

  it('streams: rows by position, and metadata filled in at the end', async () => {
    const path = join(folder, 'streamed.safetensors');
    const entries = [
      ['rows', { dtype: 'F32', shape: [3, 2] }],
      ['marks', { dtype: 'U8', shape: [3] }],
    ] as const;
    const reserve = 1003;
    const first = encodeSafetensorsHeader(entries, {}, { reserve });
    expect(first.length).toBe(1008);
    const file = await open(path, 'w+');
    const places = placeTensors(entries, first.length);
    await file.write(first, 0, first.length, 0);
    await file.write(new Uint8Array(Float32Array.of(0, 1, 2, 3, 4, 5).buffer), 0, 24, places.get('rows')!.start);
    await file.write(Uint8Array.of(7, 8, 9), 0, 3, places.get('marks')!.start);
    const last = encodeSafetensorsHeader(entries, { checksum: 'abc' }, { reserve });
    await file.write(last, 0, last.length, 0);

    const header = await readSafetensorsHeader(file, path);
    expect(header.metadata).toEqual({ checksum: 'abc' });
    expect(header.tensors).toEqual(places);
    const row = new Float32Array(2);
    await file.read(row, 0, 8, header.tensors.get('rows')!.start + 2 * 8);
    expect([...row]).toEqual([4, 5]);
    await file.close();
    expect(() => encodeSafetensorsHeader(entries, { long: 'x'.repeat(1000) }, { reserve })).toThrow(RangeError);
  });

  it('refuses every cut-off copy of a file', async () => {
    const path = join(folder, 'whole.safetensors');
    await writeSafetensors(path, randomTensors(5), { note: 'whole' });
    const whole = await readFile(path);
    for (let length = 0; length < whole.length; length += 7) await expectDamaged(whole.subarray(0, length), /./);
    await expectDamaged(Buffer.concat([whole, Buffer.of(0)]), /longer/);
  });

  it('refuses damaged headers', async () => {
    const entry = (start: number, end: number) => ({ dtype: 'U8', shape: [end - start], data_offsets: [start, end] });
    await expectDamaged(withHeader('{"a":', 0), /header is damaged/);
    await expectDamaged(withHeader('[]', 0), /header is damaged/);
    await expectDamaged(withHeader({ a: { ...entry(0, 4), dtype: 'F99' } }, 4), /header is damaged/);
    await expectDamaged(withHeader({ a: { ...entry(0, 4), shape: [-4] } }, 4), /header is damaged/);
    await expectDamaged(withHeader({ a: { ...entry(0, 4), shape: [5] } }, 4), /shape/);
    await expectDamaged(withHeader({ a: entry(0, 4), b: entry(2, 6) }, 6), /overlap/);
    await expectDamaged(withHeader({ a: entry(0, 4), b: entry(6, 8) }, 8), /holes/);
    await expectDamaged(withHeader({ a: entry(0, 400) }, 4), /cut short/);
    await expectDamaged(Buffer.alloc(64, 0xff), /header is damaged/);
  });

  it('copies what a foreign writer left unaligned', async () => {
    const path = join(folder, 'unaligned.safetensors');
    const header = {
      a: { dtype: 'U8', shape: [1], data_offsets: [0, 1] },
      b: { dtype: 'F32', shape: [1], data_offsets: [1, 5] },
    };
    const bytes = Buffer.from(withHeader(header, 5));
    bytes.writeFloatLE(1.5, bytes.length - 4);
    await writeFile(path, bytes);
    const data = (await readSafetensors(path)).tensors.get('b')!.data;
    expect(new Float32Array(data.buffer, data.byteOffset, 1)[0]).toBe(1.5);
  });

  it('names a missing file', async () => {
    await expect(readSafetensors(join(folder, 'none'))).rejects.toThrow(/none" cannot be opened/);
  });
});

import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import { z } from 'zod';
import { Failure } from '../base/failure.ts';
import { writeFileAtomic } from './atomic.ts';

/*
 * The safetensors format (https://github.com/huggingface/safetensors#format): eight bytes of header length, a JSON
 * header padded with spaces, then the tensors' bytes, little-endian, row-major, without holes.
 */

const bytesOf = { F16: 2, F32: 4, I32: 4, U32: 4, I64: 8, I8: 1, U8: 1, BOOL: 1 } as const;
const longestHeader = 100_000_000;

/** The element types read and written here. */
export type SafetensorsDtype = keyof typeof bytesOf;

/** What a tensor is, without its bytes. */
export interface TensorEntry {
  dtype: SafetensorsDtype;
  shape: readonly number[];
}

/** A tensor with its bytes, little-endian and row-major. */
export interface SafetensorsTensor extends TensorEntry {
  data: Uint8Array;
}

/** Where a tensor lies in its file: absolute byte offsets, `end` exclusive. */
export interface TensorPlace extends TensorEntry {
  start: number;
  end: number;
}

export interface SafetensorsHeader {
  tensors: Map<string, TensorPlace>;
  metadata: Record<string, string>;
  /** Absolute offset of the first tensor byte, a multiple of 8 in files written here. */
  dataStart: number;
}

const entrySchema = z.object({
  dtype: z.enum(['F16', 'F32', 'I32', 'U32', 'I64', 'I8', 'U8', 'BOOL']),
  shape: z.array(z.int().nonnegative()),
  data_offsets: z.tuple([z.int().nonnegative(), z.int().nonnegative()]),
});

/** Bytes that a tensor of this type and shape takes. */
export function tensorBytes({ dtype, shape }: TensorEntry): number {
  return shape.reduce((product, size) => product * size, bytesOf[dtype]);
}

/**
 * The header for tensors stored in the order of `entries`, padded so that the data starts at a multiple of 8.
 * `reserve` is the length in bytes that the whole header shall have (rounded up to a multiple of 8): a streaming
 * writer first writes a header with room to spare and, when its metadata is known, one of the same length over it.
 * Put wider element types first to keep every tensor aligned to its own type.
 * @throws RangeError where the header does not fit in `reserve`.
 */
export function encodeSafetensorsHeader(
  entries: Iterable<readonly [string, TensorEntry]>,
  metadata: Record<string, string> = {},
  { reserve }: { reserve?: number } = {},
): Uint8Array {
  const header = new Map<string, unknown>();
  if (Object.keys(metadata).length > 0) header.set('__metadata__', metadata);
  let offset = 0;
  for (const [name, entry] of entries) {
    if (name === '__metadata__' || header.has(name)) throw new RangeError(`Tensor name "${name}" cannot be used.`);
    const end = offset + tensorBytes(entry);
    header.set(name, { dtype: entry.dtype, shape: entry.shape, data_offsets: [offset, end] });
    offset = end;
  }
  const json = new TextEncoder().encode(JSON.stringify(Object.fromEntries(header)));
  const needed = roundUp(8 + json.length);
  const length = reserve === undefined ? needed : roundUp(reserve);
  if (needed > length) throw new RangeError(`A header of ${needed} bytes does not fit in the ${length} reserved.`);
  const bytes = new Uint8Array(length).fill(0x20);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(length - 8), true);
  bytes.set(json, 8);
  return bytes;
}

function roundUp(bytes: number): number {
  return Math.ceil(bytes / 8) * 8;
}

/** Absolute places of tensors stored in the order of `entries` behind a header of `headerLength` bytes. */
export function placeTensors(
  entries: Iterable<readonly [string, TensorEntry]>,
  headerLength: number,
): Map<string, TensorPlace> {
  const places = new Map<string, TensorPlace>();
  let start = headerLength;
  for (const [name, { dtype, shape }] of entries) {
    const end = start + tensorBytes({ dtype, shape });
    places.set(name, { dtype, shape, start, end });
    start = end;
  }
  return places;
}

const CHECKSUM = 'checksum';

/** CRC-32 of what a header says, but for the checksum in it. `entries` in the order of their bytes. */
export function headerChecksum(
  entries: Iterable<readonly [string, TensorEntry]>,
  metadata: Readonly<Record<string, string>>,
): number {
  const tensors = Array.from(entries, ([name, { dtype, shape }]) => [name, dtype, shape]);
  const facts = Object.entries(metadata)
    .filter(([key]) => key !== CHECKSUM)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return crc32(JSON.stringify([tensors, facts]));
}

/** As `headerChecksum`, of a header that was read. */
export function readHeaderChecksum({ tensors, metadata }: SafetensorsHeader): number {
  return headerChecksum(
    [...tensors].sort(([, a], [, b]) => a.start - b.start || a.end - b.end),
    metadata,
  );
}

/**
 * The file's bytes in parts: header, then the tensors, those of wide elements first so that each is aligned. The
 * metadata gets a CRC-32 of all that the file says.
 */
export function encodeSafetensors(
  tensors: ReadonlyMap<string, SafetensorsTensor>,
  metadata: Record<string, string> = {},
): Uint8Array[] {
  const ordered = [...tensors].sort(([, a], [, b]) => bytesOf[b.dtype] - bytesOf[a.dtype]);
  for (const [name, tensor] of ordered) {
    if (tensor.data.byteLength !== tensorBytes(tensor))
      throw new RangeError(`Tensor "${name}" has ${tensor.data.byteLength} bytes, its shape ${tensorBytes(tensor)}.`);
  }
  const parts = ordered.map(([, tensor]) => tensor.data);
  const checksum = parts.reduce((crc, part) => crc32(part, crc), headerChecksum(ordered, metadata));
  return [encodeSafetensorsHeader(ordered, { ...metadata, [CHECKSUM]: String(checksum) }), ...parts];
}

/** Writes a safetensors file atomically. */
export async function writeSafetensors(
  path: string,
  tensors: ReadonlyMap<string, SafetensorsTensor>,
  metadata: Record<string, string> = {},
): Promise<void> {
  await writeFileAtomic(path, encodeSafetensors(tensors, metadata));
}

/**
 * Reads and checks the header of an open file, so that a caller can read rows by position.
 * @param path names the file in failures.
 * @throws Failure `damaged-file` where the file is cut short or its header does not describe it exactly.
 */
export async function readSafetensorsHeader(file: FileHandle, path: string): Promise<SafetensorsHeader> {
  const { size } = await file.stat();
  if (size < 8) throw damaged(path, 'it is cut short');
  const prefix = new Uint8Array(8);
  await readFully(file, prefix, 0, path);
  const length = Number(new DataView(prefix.buffer).getBigUint64(0, true));
  if (length > longestHeader) throw damaged(path, 'its header is damaged');
  if (8 + length > size) throw damaged(path, 'it is cut short');
  const json = new Uint8Array(length);
  await readFully(file, json, 8, path);
  return parseHeader(json, size, path);
}

function parseHeader(json: Uint8Array, fileSize: number, path: string): SafetensorsHeader {
  const { metadata, entries } = parseEntries(json, path);
  const dataStart = 8 + json.length;
  const tensors = new Map<string, TensorPlace>();
  for (const [name, { dtype, shape, data_offsets: offsets }] of entries) {
    const [start, end] = offsets;
    if (end - start !== tensorBytes({ dtype, shape }))
      throw damaged(path, `the bytes of its tensor "${name}" do not fit the tensor's shape`);
    tensors.set(name, { dtype, shape, start: dataStart + start, end: dataStart + end });
  }
  let expected = dataStart;
  for (const { start, end } of [...tensors.values()].sort((a, b) => a.start - b.start || a.end - b.end)) {
    if (start !== expected) throw damaged(path, 'its tensors overlap or leave holes');
    expected = end;
  }
  if (expected > fileSize) throw damaged(path, 'it is cut short');
  if (expected < fileSize) throw damaged(path, 'it is longer than its header says');
  return { tensors, metadata, dataStart };
}

function parseEntries(json: Uint8Array, path: string) {
  try {
    const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(json));
    const fields = Object.entries(z.looseObject({}).parse(value));
    let metadata: Record<string, string> = {};
    const entries: [string, z.infer<typeof entrySchema>][] = [];
    for (const [name, field] of fields) {
      if (name === '__metadata__') metadata = z.record(z.string(), z.string()).parse(field);
      else entries.push([name, entrySchema.parse(field)]);
    }
    return { metadata, entries };
  } catch (error) {
    throw damaged(path, 'its header is damaged', error);
  }
}

function damaged(path: string, reason: string, cause?: unknown): Failure {
  return new Failure('damaged-file', `"${path}" is not a whole safetensors file: ${reason}.`, { cause });
}

/** Fills `target` from the file at `position`; a Failure where the file ends before. */
export async function readFully(file: FileHandle, target: Uint8Array, position: number, path: string): Promise<void> {
  let done = 0;
  while (done < target.byteLength) {
    const length = Math.min(target.byteLength - done, 1 << 30);
    const { bytesRead } = await file.read(target, done, length, position + done);
    if (bytesRead === 0) throw damaged(path, 'it is cut short');
    done += bytesRead;
  }
}

/** Writes all of `data` to the file from `position` on: one write may take less than it is given. */
export async function writeFully(file: Pick<FileHandle, 'write'>, data: Uint8Array, position: number): Promise<void> {
  let done = 0;
  while (done < data.byteLength) {
    const length = Math.min(data.byteLength - done, 1 << 30);
    done += (await file.write(data, done, length, position + done)).bytesWritten;
  }
}

/**
 * Reads a whole file, and checks it where it was written here. The tensors' `data` are views of one buffer, each aligned to its element type (a tensor that a
 * foreign writer left unaligned is copied).
 * @throws Failure `missing-file` or `damaged-file`, naming the file.
 */
export async function readSafetensors(
  path: string,
): Promise<{ tensors: Map<string, SafetensorsTensor>; metadata: Record<string, string> }> {
  const file = await openForReading(path);
  try {
    const header = await readSafetensorsHeader(file, path);
    const { tensors: places, dataStart } = header;
    const { [CHECKSUM]: checksum, ...metadata } = header.metadata;
    const end = Math.max(dataStart, ...[...places.values()].map((place) => place.end));
    const data = new Uint8Array(end - dataStart);
    await readFully(file, data, dataStart, path);
    if (checksum !== undefined && checksum !== String(crc32(data, readHeaderChecksum(header))))
      throw damaged(path, 'it is not what was written');
    const tensors = new Map<string, SafetensorsTensor>();
    for (const [name, { dtype, shape, start, end: stop }] of places) {
      const view = data.subarray(start - dataStart, stop - dataStart);
      tensors.set(name, { dtype, shape, data: view.byteOffset % bytesOf[dtype] === 0 ? view : view.slice() });
    }
    return { tensors, metadata };
  } finally {
    await file.close();
  }
}

async function openForReading(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'r');
  } catch (error) {
    throw new Failure('missing-file', `"${path}" cannot be opened: check that it exists and may be read.`, {
      cause: error,
    });
  }
}

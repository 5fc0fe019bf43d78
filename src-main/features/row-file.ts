import { read } from 'node:fs';
import { constants, open, rename, rm, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { crc32 } from 'node:zlib';
import { Failure } from '../base/failure.ts';
import { makeFolder } from '../base/make-folder.ts';
import { diskFull, syncFolder, temporaryName } from '../workspace/atomic.ts';
import {
  encodeSafetensorsHeader,
  placeTensors,
  headerChecksum,
  readFully,
  readHeaderChecksum,
  readSafetensorsHeader,
  tensorBytes,
  writeFully,
  type SafetensorsDtype,
  type TensorEntry,
  type TensorPlace,
} from '../workspace/safetensors.ts';

/*
 * A row file is a safetensors file whose tensors all have one row for each image, and a CRC-32 of each row beside
 * them: [images, tensors] in `crc32`; `rows_checksum` is of these and of the header. It is written in any order of rows and read row by row, so it never has to fit
 * in memory, and damage is found where it is: in the row that is read.
 */

const CRC = 'crc32';
/** Bytes of every file's header, padding included. */
export const HEADER_RESERVE = 8192;

export interface RowTensor {
  name: string;
  dtype: SafetensorsDtype;
  /** Shape of one row. */
  shape: readonly number[];
}

/** Bytes that a row file takes for each row, checksums included. */
export function rowBytesOf(tensors: readonly RowTensor[]): number {
  return tensors.reduce((sum, tensor) => sum + tensorBytes(tensor) + 4, 0);
}

function entriesOf(tensors: readonly RowTensor[], rows: number): [string, TensorEntry][] {
  const entries = tensors.map(({ name, dtype, shape }): [string, TensorEntry] => [
    name,
    { dtype, shape: [rows, ...shape] },
  ]);
  // Four-byte elements before two-byte ones before bytes, so that all are aligned.
  const size = ({ dtype }: TensorEntry) => tensorBytes({ dtype, shape: [] });
  return [[CRC, { dtype: 'U32', shape: [rows, tensors.length] }], ...entries.sort(([, a], [, b]) => size(b) - size(a))];
}

/** Writes a row file under a temporary name; it takes its own only when it is whole. */
export class RowFileWriter {
  private readonly crcs: Uint32Array<ArrayBuffer>;

  private constructor(
    private readonly path: string,
    private readonly temporary: string,
    private readonly file: FileHandle,
    private readonly tensors: readonly RowTensor[],
    private readonly places: Map<string, TensorPlace>,
    private readonly rows: number,
    /** Whether checksums are written with the rows, so that a crash leaves something to go on with. */
    private readonly resumable = false,
  ) {
    this.crcs = new Uint32Array(rows * tensors.length);
  }

  static async create(path: string, tensors: readonly RowTensor[], rows: number): Promise<RowFileWriter> {
    const temporary = temporaryName(path);
    let file: FileHandle;
    try {
      await makeFolder(dirname(path));
      file = await open(temporary, 'wx');
    } catch (error) {
      throw diskFull(error, path);
    }
    return new RowFileWriter(
      path,
      temporary,
      file,
      tensors,
      placeTensors(entriesOf(tensors, rows), HEADER_RESERVE),
      rows,
    );
  }

  /**
   * Goes on with a file that was `kept`, or begins it: its rows are checked. Nothing of its format may have changed
   * meanwhile: a name tells.
   * @param temporary what it is called until it is finished
   * @returns by row: 1 where it is as it was written, 0 where it is to be written
   */
  static async resume(
    path: string,
    temporary: string,
    tensors: readonly RowTensor[],
    rows: number,
  ): Promise<{ writer: RowFileWriter; whole: Uint8Array }> {
    try {
      await makeFolder(dirname(path));
      // Opens what is there, and makes it where there is nothing.
      const file = await open(temporary, constants.O_RDWR | constants.O_CREAT, 0o666);
      const places = placeTensors(entriesOf(tensors, rows), HEADER_RESERVE);
      const writer = new RowFileWriter(path, temporary, file, tensors, places, rows, true);
      try {
        return { writer, whole: await writer.findWhole() };
      } catch (error) {
        await file.close();
        throw error;
      }
    } catch (error) {
      throw diskFull(error, path);
    }
  }

  /** Looks for the rows that are as their checksums say; one without checksums has not been written. */
  private async findWhole(): Promise<Uint8Array> {
    const table = new Uint8Array(this.crcs.buffer);
    const { bytesRead } = await this.file.read(table, 0, table.byteLength, this.places.get(CRC)!.start);
    table.fill(0, bytesRead);
    const whole = new Uint8Array(this.rows);
    for (let row = 0; row < this.rows; row++) whole[row] = (await this.isWhole(row)) ? 1 : 0;
    return whole;
  }

  private async isWhole(row: number): Promise<boolean> {
    const crcs = this.crcs.subarray(row * this.tensors.length, (row + 1) * this.tensors.length);
    if (crcs.every((crc) => crc === 0)) return false;
    for (const [column, { name, dtype, shape }] of this.tensors.entries()) {
      const bytes = new Uint8Array(tensorBytes({ dtype, shape }));
      const at = this.places.get(name)!.start + row * bytes.byteLength;
      const found = await this.file.read(bytes, 0, bytes.byteLength, at);
      if (found.bytesRead !== bytes.byteLength || crc32(bytes) !== crcs[column]) return false;
    }
    return true;
  }

  /** Writes rows `first ..` of every tensor; `data` holds them one after the other, keyed by tensor, from row `from` on. */
  async write(first: number, count: number, data: Readonly<Record<string, ArrayBufferView>>, from = 0): Promise<void> {
    try {
      for (const [column, { name, dtype, shape }] of this.tensors.entries()) {
        const view = data[name]!;
        const rowBytes = tensorBytes({ dtype, shape });
        const bytes = new Uint8Array(view.buffer, view.byteOffset + from * rowBytes, count * rowBytes);
        for (let row = 0; row < count; row++)
          this.crcs[(first + row) * this.tensors.length + column] = crc32(
            bytes.subarray(row * rowBytes, (row + 1) * rowBytes),
          );
        await writeFully(this.file, bytes, this.places.get(name)!.start + first * rowBytes);
      }
      if (this.resumable) {
        const entry = this.tensors.length * 4;
        const table = new Uint8Array(this.crcs.buffer, first * entry, count * entry);
        await writeFully(this.file, table, this.places.get(CRC)!.start + first * entry);
      }
    } catch (error) {
      throw diskFull(error, this.path);
    }
  }

  /** Completes the file and gives it its name. */
  async finish(metadata: Record<string, string>): Promise<void> {
    try {
      const table = new Uint8Array(this.crcs.buffer);
      const entries = entriesOf(this.tensors, this.rows);
      const facts = { ...metadata, columns: this.tensors.map(({ name }) => name).join(' ') };
      const checksum = String(crc32(table, headerChecksum(entries, facts)));
      const header = encodeSafetensorsHeader(
        entries,
        { ...facts, rows_checksum: checksum },
        { reserve: HEADER_RESERVE },
      );
      await writeFully(this.file, table, this.places.get(CRC)!.start);
      await writeFully(this.file, header, 0);
      await this.file.sync();
      await this.file.close();
      await rename(this.temporary, this.path);
      await syncFolder(dirname(this.path));
    } catch (error) {
      throw diskFull(error, this.path);
    }
  }

  /** Leaves what is there for `resume`. */
  async keep(): Promise<void> {
    await this.file.close().catch(() => undefined);
  }

  async abandon(): Promise<void> {
    await this.file.close().catch(() => undefined);
    await rm(this.temporary, { force: true });
  }
}

/** Reads rows of a row file; each is checked the first time it is read. */
export class RowFileReader {
  private readonly checked: Uint8Array;

  private constructor(
    private readonly path: string,
    private readonly file: FileHandle,
    private readonly places: Map<string, TensorPlace>,
    readonly columns: readonly string[],
    private readonly crcs: Uint32Array,
    readonly rows: number,
    readonly metadata: Readonly<Record<string, string>>,
  ) {
    this.checked = new Uint8Array(crcs.length);
  }

  /** @throws Failure `damaged-features` or `missing-file`. */
  static async open(path: string): Promise<RowFileReader> {
    let file: FileHandle;
    try {
      file = await open(path, 'r');
    } catch (error) {
      throw new Failure('missing-file', `The feature file "${path}" is gone: start again and it is extracted anew.`, {
        cause: error,
      });
    }
    try {
      const header = await readSafetensorsHeader(file, path);
      const { tensors } = header;
      const { rows_checksum: expected, ...metadata } = header.metadata;
      const place = tensors.get(CRC);
      if (!place) throw damaged(path);
      const [rows, count] = place.shape as [number, number];
      const crcs = new Uint32Array(rows * count);
      await readFully(file, new Uint8Array(crcs.buffer), place.start, path);
      const checksum = crc32(new Uint8Array(crcs.buffer), readHeaderChecksum({ ...header, metadata }));
      if (expected !== String(checksum)) throw damaged(path);
      const columns = (metadata.columns ?? '').split(' ');
      if (columns.length !== count || columns.some((name) => tensors.get(name)?.shape[0] !== rows)) throw damaged(path);
      return new RowFileReader(path, file, tensors, columns, crcs, rows, metadata);
    } catch (error) {
      await file.close();
      // Whatever is wrong with it as a safetensors file, what to do is the same.
      throw error instanceof Failure ? damaged(path, error) : error;
    }
  }

  /** Bytes of one row of a tensor. */
  rowBytes(name: string): number {
    const { dtype, shape } = this.places.get(name)!;
    return tensorBytes({ dtype, shape: shape.slice(1) });
  }

  /** Fills `target` with one row of a tensor. @throws Failure `damaged-features` when the row is not what was written. */
  read(name: string, row: number, target: Uint8Array): Promise<void> {
    const { start } = this.places.get(name)!;
    // The callback form: hundreds of rows are asked for at a time, and promises of FileHandle.read cost more than the read.
    return new Promise((resolve, reject) => {
      read(this.file.fd, target, 0, target.byteLength, start + row * target.byteLength, (error, bytesRead) => {
        if (error) reject(error);
        else if (bytesRead !== target.byteLength || !this.intact(name, row, target)) reject(damaged(this.path));
        else resolve();
      });
    });
  }

  private intact(name: string, row: number, bytes: Uint8Array): boolean {
    const index = row * this.columns.length + this.columns.indexOf(name);
    if (this.checked[index]) return true;
    this.checked[index] = 1;
    return crc32(bytes) === this.crcs[index];
  }

  async close(): Promise<void> {
    await this.file.close();
  }
}

function damaged(path: string, cause?: unknown): Failure {
  return new Failure(
    'damaged-features',
    `The feature file "${path}" is damaged: delete it, and it is extracted anew at the next start.`,
    { cause },
  );
}

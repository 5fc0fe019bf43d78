import { randomBytes } from 'node:crypto';
import { open, readFile, rename, rm } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { Failure } from '../base/failure.ts';
import { makeFolder } from '../base/make-folder.ts';
import { isRunning, thisProcess } from '../base/process-identity.ts';

/**
 * Writes a whole file so that a reader, or a crash at any moment, sees the old content or the new, never half of it:
 * a temporary name in the same folder, fsync, rename, fsync of the folder. Missing folders are made.
 * @throws Failure `disk-full` where there is no room.
 */
export async function writeFileAtomic(path: string, data: string | Uint8Array | readonly Uint8Array[]): Promise<void> {
  const temporary = temporaryName(path);
  try {
    await makeFolder(dirname(path));
    const file = await open(temporary, 'wx');
    try {
      const parts = typeof data === 'string' || data instanceof Uint8Array ? [data] : data;
      for (const part of parts) await file.writeFile(part);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw diskFull(error, path);
  }
  await syncFolder(dirname(path));
}

/** A fresh name beside `path` for a file or folder that is written in full before it takes that name. */
export function temporaryName(path: string): string {
  const owner = [thisProcess.pid, thisProcess.start].filter((part) => part !== undefined).join('-');
  return join(dirname(path), `.${basename(path)}.${owner}.${randomBytes(4).toString('hex')}.tmp`);
}

const temporary = /^\..*\.(\d+)(?:-(\d+))?\.[0-9a-f]{8}\.tmp$/s;

/** Whether a file's name is one that `temporaryName` gave to a process that is no more. */
export function isLeftOver(name: string): boolean {
  const [, pid, start] = temporary.exec(name) ?? [];
  return pid !== undefined && !isRunning(Number(pid), start);
}

/** Makes a rename inside `folder` last through a power cut. */
export async function syncFolder(folder: string): Promise<void> {
  let handle: FileHandle | undefined;
  try {
    handle = await open(folder, 'r');
    await handle.sync();
  } catch (error) {
    // Windows opens no folders and some network file systems sync none; the rename has happened all the same.
    if (!['EPERM', 'EISDIR', 'EACCES', 'EINVAL', 'ENOTSUP', 'EBADF'].includes(errorCode(error))) throw error;
  } finally {
    await handle?.close();
  }
}

/** An error that says "no space" as the sentence a user needs; any other error as it is. */
export function diskFull(error: unknown, path: string): unknown {
  if (!['ENOSPC', 'EDQUOT'].includes(errorCode(error))) return error;
  return new Failure('disk-full', `The disk is full: "${path}" could not be written; free some space and try again.`, {
    cause: error,
  });
}

/** The `code` of a system error, or the empty string. */
export function errorCode(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
}

/**
 * Appends `value` as one line of JSON and syncs it. A line torn by an earlier crash is cut off first, so that the new
 * line never joins it.
 */
export async function appendJsonLine(path: string, value: unknown): Promise<void> {
  try {
    await makeFolder(dirname(path));
    const file = await open(path, 'a+');
    try {
      const separator = await mendTail(file);
      await file.appendFile(`${separator}${JSON.stringify(value)}\n`);
      await file.sync();
    } finally {
      await file.close();
    }
  } catch (error) {
    throw diskFull(error, path);
  }
}

/** Cuts off a torn last line; returns what must precede the next line. */
async function mendTail(file: FileHandle): Promise<'' | '\n'> {
  const { size } = await file.stat();
  if (size === 0) return '';
  const last = Buffer.alloc(1);
  await file.read(last, 0, 1, size - 1);
  if (last[0] === 0x0a) return '';
  const content = Buffer.alloc(size);
  await file.read(content, 0, size, 0);
  const start = content.lastIndexOf(0x0a) + 1;
  if (parseJson(content.toString('utf8', start)) !== undefined) return '\n';
  await file.truncate(start);
  return '';
}

/**
 * The values of a file of JSON lines; none where the file does not exist. A torn last line is left out.
 * @throws Failure `damaged-file` for a damaged line before the last.
 */
export async function readJsonLines(path: string): Promise<unknown[]> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return [];
    throw error;
  }
  const lines = text.split('\n');
  const values: unknown[] = [];
  lines.forEach((line, index) => {
    if (line === '') return;
    const value = parseJson(line);
    if (value !== undefined) values.push(value);
    else if (index < lines.length - 1)
      throw new Failure('damaged-file', `Line ${index + 1} of "${path}" is damaged: put the file back from a copy.`);
  });
  return values;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

import { statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { errorCode } from './atomic.ts';

/** Bytes that may still be written to the disk of a folder, which need not exist yet. */
export async function freeSpace(folder: string): Promise<number> {
  try {
    const { bavail, bsize } = await statfs(folder);
    return bavail * bsize;
  } catch (error) {
    const parent = dirname(folder);
    if (errorCode(error) === 'ENOENT' && parent !== folder) return freeSpace(parent);
    // A system that does not say may have room; the writing itself finds out.
    return Infinity;
  }
}

import { open } from 'node:fs/promises';

/** Whether bytes are what Git LFS leaves in the place of a file that was not fetched. */
export function beginsAsLfsPointer(bytes: Uint8Array): boolean {
  return Buffer.from(bytes.subarray(0, start.length)).toString('latin1') === start;
}

export async function isLfsPointer(path: string): Promise<boolean> {
  const file = await open(path, 'r').catch(() => undefined);
  if (!file) return false;
  try {
    return beginsAsLfsPointer((await file.read(Buffer.alloc(start.length), 0, start.length, 0)).buffer);
  } finally {
    await file.close();
  }
}

const start = 'version https://git-lfs.github.com/spec/';

import { mkdir, stat } from 'node:fs/promises';
import { dirname } from 'node:path';

/**
 * Makes a folder and those above it that are missing. One step at a time: Node's own recursive mkdir never returns where
 * a folder exists that takes no other into it, such as /proc.
 * @throws the system's error of the folder that cannot be made
 */
export async function makeFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder);
  } catch (error) {
    if (isMissing(error) && dirname(folder) !== folder) {
      await makeFolder(dirname(folder));
      await mkdir(folder).catch((again: unknown) => unlessThere(folder, again));
    } else await unlessThere(folder, error);
  }
}

const isMissing = (error: unknown): boolean => error instanceof Error && 'code' in error && error.code === 'ENOENT';

/** Somebody else may have made it, and a read-only disk complains of folders that it has. */
async function unlessThere(folder: string, error: unknown): Promise<void> {
  const there = await stat(folder).catch(() => undefined);
  if (!there?.isDirectory()) throw error;
}

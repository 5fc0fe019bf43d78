/** Folders of this machine, for choosing one where no system dialog is to be had. */
import { readdir, realpath, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { Failure } from '../base/failure.ts';

export interface FolderEntry {
  name: string;
  path: string;
  kind: 'folder' | 'file';
}

export interface FolderListing {
  path: string;
  /** Null at the root. */
  parent: string | null;
  /** Folders first, each kind by name; hidden ones are left out, and nothing beyond the first 2,000. */
  entries: FolderEntry[];
  truncated: boolean;
}

const MOST = 2000;

/** What lies in a folder, the home folder when `path` is left out. @throws Failure `folder` where it cannot be read */
export async function listFolder(path = homedir()): Promise<FolderListing> {
  const folder = await realpath(resolve(path)).catch(() => resolve(path));
  const found = await readdir(folder, { withFileTypes: true }).catch((error: unknown) => {
    throw new Failure('folder', `The folder "${folder}" cannot be read: choose another.`, { cause: error });
  });
  const entries: FolderEntry[] = [];
  for (const { name } of found) {
    if (name.startsWith('.')) continue;
    const entry = join(folder, name);
    // Behind a link there may be either, or nothing.
    const status = await stat(entry).catch(() => undefined);
    if (status?.isDirectory()) entries.push({ name, path: entry, kind: 'folder' });
    else if (status?.isFile()) entries.push({ name, path: entry, kind: 'file' });
  }
  const order = new Intl.Collator(undefined, { numeric: true });
  entries.sort((a, b) =>
    a.kind === b.kind ? order.compare(a.name, b.name) : Number(a.kind === 'file') - Number(b.kind === 'file'),
  );
  const parent = dirname(folder);
  return {
    path: folder,
    parent: parent === folder ? null : parent,
    entries: entries.slice(0, MOST),
    truncated: entries.length > MOST,
  };
}

import { readdir, stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { exists } from '../../base/exists.ts';
import { Failure } from '../../base/failure.ts';
import { inPaperOrder } from './tasks.ts';

/** The lists that the protocol reads: settings are chosen on the second, and the third is read once. */
const LISTS = ['train800.txt', 'val200.txt', 'test.txt'];

export interface FoundTasks {
  /** Absolute paths, in the order of the papers' tables. */
  folders: string[];
  /** A sentence for each folder that is no task. */
  remarks: string[];
}

/**
 * The task folders in a folder, or the folder itself where it is one. Files and hidden folders are passed over.
 * @throws Failure `no-task` where there is none
 */
export async function findTasks(folder: string): Promise<FoundTasks> {
  const root = resolve(folder);
  const entries = await readdir(root).catch((error: unknown) => {
    throw new Failure('no-task', `"${root}" is not a folder that can be read: give the folder of the task folders.`, {
      cause: error,
    });
  });
  if ((await missingLists(root)).length === 0) return { folders: [root], remarks: [] };
  const names: string[] = [];
  const remarks: string[] = [];
  for (const name of entries.sort()) {
    const path = join(root, name);
    if (name.startsWith('.') || !(await stat(path).catch(() => undefined))?.isDirectory()) continue;
    const missing = await missingLists(path);
    if (missing.length === 0) names.push(name);
    else remarks.push(`"${path}" is no task and is left out: it has no ${missing.join(' and no ')}.`);
  }
  if (names.length === 0)
    throw new Failure(
      'no-task',
      `"${root}" has no folder with ${LISTS.join(', ')}, the lists of a VTAB-1K task: give the folder of the task folders.`,
    );
  return { folders: inPaperOrder(names).map((name) => join(root, name)), remarks };
}

async function missingLists(folder: string): Promise<string[]> {
  const there = await Promise.all(LISTS.map((list) => exists(join(folder, list))));
  return LISTS.filter((_, index) => !there[index]);
}

export function taskName(folder: string): string {
  return basename(folder);
}

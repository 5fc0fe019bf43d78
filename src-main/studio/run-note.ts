/** A line of a user's own about a run: what it was for, or a name that says more than its id. */
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { findRun } from '../training/find-run.ts';
import { writeFileAtomic } from '../workspace/atomic.ts';
import type { Workspace } from '../workspace/workspace.ts';

const noteFile = (workspace: Workspace, run: string): string => join(workspace.run(run), 'note.txt');

/** The empty string where there is none. */
export async function readNote(workspace: Workspace, run: string): Promise<string> {
  return (await readFile(noteFile(workspace, run), 'utf8').catch(() => '')).trim();
}

/** Keeps a note, or takes away that which there was. @throws Failure as `findRun`, `disk-full` */
export async function writeNote(workspace: Workspace, named: string, note: string): Promise<void> {
  const run = await findRun(workspace, named);
  const line = note.replaceAll(/\s+/g, ' ').trim();
  if (line === '') await rm(noteFile(workspace, run), { force: true });
  else await writeFileAtomic(noteFile(workspace, run), `${line}\n`);
}

/**
 * The edits of a dataset as they are kept beside its entry, a line each and never changed: an edit, or that the last one
 * was taken back or put in force again. So nothing is lost by undoing, and the dataset can be had as it was after any line.
 */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { Failure } from '../../base/failure.ts';
import { appendJsonLine, readJsonLines } from '../../workspace/atomic.ts';
import { sealed, unsealed } from '../../workspace/record.ts';
import type { Workspace } from '../../workspace/workspace.ts';
import { editSchema, type Edit } from './edit.ts';

const lineSchema = z.union([
  z.object({ at: z.iso.datetime(), edit: editSchema }),
  z.object({ at: z.iso.datetime(), step: z.enum(['undo', 'redo']) }),
]);
export type LogLine = z.infer<typeof lineSchema>;

export interface DatedEdit {
  at: string;
  /** Its number among the log's lines, from 0: what tells it from all other edits. */
  line: number;
  edit: Edit;
}

/** Which edits are in force after some lines, and which can be put in force again. */
export interface EditHistory {
  done: DatedEdit[];
  /** The one that was taken back last comes last. */
  undone: DatedEdit[];
}

/** What lines of the log come to. A new edit ends what could be redone; steps that lead nowhere count for nothing. */
export function historyOf(lines: readonly LogLine[]): EditHistory {
  const done: DatedEdit[] = [];
  let undone: DatedEdit[] = [];
  for (const [number, line] of lines.entries()) {
    if ('edit' in line) {
      done.push({ ...line, line: number });
      undone = [];
      continue;
    }
    const [from, to] = line.step === 'undo' ? [done, undone] : [undone, done];
    const moved = from.pop();
    if (moved) to.push(moved);
  }
  return { done, undone };
}

export function editLogOf(workspace: Workspace, name: string): string {
  return join(workspace.dataset(name), 'edits.jsonl');
}

/** All lines of a dataset's log; none where it was never edited. @throws Failure `damaged-file` */
export async function readEditLog(workspace: Workspace, name: string): Promise<LogLine[]> {
  const path = editLogOf(workspace, name);
  const damaged = (cause: unknown) =>
    new Failure(
      'damaged-file',
      `The edits of the dataset "${name}" in "${path}" are damaged: put the file back from a copy, or delete it and edit again.`,
      { cause },
    );
  try {
    return (await readJsonLines(path)).map((line) => lineSchema.parse(unsealed(line)));
  } catch (error) {
    throw damaged(error);
  }
}

/** Whether a dataset was ever edited: cheaper than reading its log. */
export async function hasEditLog(workspace: Workspace, name: string): Promise<boolean> {
  return stat(editLogOf(workspace, name)).then(
    ({ size }) => size > 0,
    () => false,
  );
}

/** @throws Failure `disk-full` */
export async function appendToEditLog(workspace: Workspace, name: string, line: LogLine): Promise<void> {
  await appendJsonLine(editLogOf(workspace, name), sealed(line));
}

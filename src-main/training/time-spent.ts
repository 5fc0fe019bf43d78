import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import type { Workspace } from '../workspace/workspace.ts';
import { writeFileAtomic } from '../workspace/atomic.ts';
import { runFile } from './run-folder.ts';

/** Seconds that all processes of a run together have spent on it; of one that was killed, up to its last epoch. */
const spentSchema = z.object({ extract: z.number().nonnegative(), total: z.number().nonnegative() });
export type TimeSpent = z.infer<typeof spentSchema>;

/** None where nothing is known: a run is worth going on with whatever it took so far. */
export async function readTimeSpent(workspace: Workspace, run: string): Promise<TimeSpent> {
  try {
    return spentSchema.parse(JSON.parse(await readFile(runFile(workspace, run, 'seconds'), 'utf8')));
  } catch {
    return { extract: 0, total: 0 };
  }
}

export async function writeTimeSpent(workspace: Workspace, run: string, spent: TimeSpent): Promise<void> {
  await writeFileAtomic(runFile(workspace, run, 'seconds'), `${JSON.stringify(spent)}\n`);
}

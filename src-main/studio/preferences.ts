/** What a workspace's user has set for all that is yet to come; kept in its settings.json. */
import { readFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { writeFileAtomic } from '../workspace/atomic.ts';
import type { Workspace } from '../workspace/workspace.ts';

export const preferencesSchema = z.object({
  /** onnxruntime's threads of new jobs; null for all cores. */
  threads: z.int().min(1).max(512).nullable().default(null),
});
export type Preferences = z.infer<typeof preferencesSchema>;

/** A file that cannot be read says nothing. */
export async function readPreferences(workspace: Workspace): Promise<Preferences> {
  try {
    return preferencesSchema.parse(JSON.parse(await readFile(fileOf(workspace), 'utf8')));
  } catch {
    return preferencesSchema.parse({});
  }
}

export async function writePreferences(workspace: Workspace, preferences: Preferences): Promise<void> {
  await writeFileAtomic(fileOf(workspace), `${JSON.stringify(preferences, null, 2)}\n`);
}

/** Threads of a job that nobody has told how many. */
export async function usualThreads(workspace: Workspace): Promise<number> {
  return (await readPreferences(workspace)).threads ?? availableParallelism();
}

function fileOf({ root }: Workspace): string {
  return join(root, 'settings.json');
}

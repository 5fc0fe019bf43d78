/** What a workspace's user has set for all that is yet to come; kept in its settings.json. */
import { readFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { Failure } from '../base/failure.ts';
import { runSessionsIn, type SessionPlace } from '../engine/session-place.ts';
import { writeFileAtomic } from '../workspace/atomic.ts';
import type { Workspace } from '../workspace/workspace.ts';

const wishes = {
  /** onnxruntime's threads of new jobs; null for all cores. */
  threads: z.int().min(1).max(512).nullable(),
  /** Whether the ViT runs on a thread of the studio or in a process of its own; null for what is usual here. */
  vit: z.enum(['thread', 'process']).nullable(),
  /** Address of the MLflow server that sweeps were sent to last. */
  mlflow: z.string().max(2000).nullable(),
};
const preferencesSchema = z.object({
  threads: wishes.threads.default(null),
  vit: wishes.vit.default(null),
  mlflow: wishes.mlflow.default(null),
});
export type Preferences = z.infer<typeof preferencesSchema>;

/** What is not named stays as it is. */
export const preferencesChangeSchema = z.object(wishes).partial();

/** A file that cannot be read says nothing. */
export async function readPreferences(workspace: Workspace): Promise<Preferences> {
  try {
    return preferencesSchema.parse(JSON.parse(await readFile(fileOf(workspace), 'utf8')));
  } catch {
    return preferencesSchema.parse({});
  }
}

export async function changePreferences(
  workspace: Workspace,
  change: z.infer<typeof preferencesChangeSchema>,
): Promise<Preferences> {
  const preferences = { ...(await readPreferences(workspace)), ...change };
  await writeFileAtomic(fileOf(workspace), `${JSON.stringify(preferences, null, 2)}\n`);
  return preferences;
}

/** The environment's word on where the ViT runs, for one start of the program; it goes before the setting. */
export const VIT_VARIABLE = 'SIDETUNE_VIT';

/**
 * Runs the ViT from now on where the environment says, else the workspace's settings, else where it is usual.
 * @throws Failure `usage` for a variable that says neither
 */
export async function placeVit(workspace: Workspace, usual: SessionPlace = 'thread'): Promise<void> {
  const said = process.env[VIT_VARIABLE];
  if (said !== undefined && said !== '' && said !== 'thread' && said !== 'process')
    throw new Failure('usage', `${VIT_VARIABLE} is ${JSON.stringify(said)}: set it to "thread" or "process".`);
  runSessionsIn(said || ((await readPreferences(workspace)).vit ?? usual));
}

/** Threads of a job that nobody has told how many. */
export async function usualThreads(workspace: Workspace): Promise<number> {
  return (await readPreferences(workspace)).threads ?? availableParallelism();
}

function fileOf({ root }: Workspace): string {
  return join(root, 'settings.json');
}

/** Runs that were put away: out of the list at once, and back again as long as the trash has not been emptied. */
import { readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { exists } from '../base/exists.ts';
import { Failure } from '../base/failure.ts';
import { makeFolder } from '../base/make-folder.ts';
import { isSafeName } from '../workspace/names.ts';
import type { Workspace } from '../workspace/workspace.ts';
import { withIdleRuns } from './runs.ts';

/** Days that a run stays in the trash at least. */
const KEPT_DAYS = 7;
const DAY_MS = 86_400_000;

/** `2026-11-24T12-30-00.000Z run`: when it was put there, and what it is. */
const entryPattern = /^(\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d\.\d{3}Z) (.+)$/;

const trashOf = (workspace: Workspace): string => join(workspace.root, 'trash', 'runs');

interface Entry {
  folder: string;
  run: string;
  /** Milliseconds since 1970. */
  put: number;
}

/** Newest first. */
async function entriesOf(workspace: Workspace): Promise<Entry[]> {
  const names = await readdir(trashOf(workspace)).catch(() => []);
  const entries = names.flatMap((name): Entry[] => {
    const [, time, run] = entryPattern.exec(name) ?? [];
    if (time === undefined || run === undefined || !isSafeName(run)) return [];
    const put = Date.parse(time.replace(/T(\d\d)-(\d\d)-(\d\d)/, 'T$1:$2:$3'));
    return [{ folder: join(trashOf(workspace), name), run, put }];
  });
  return entries.sort((a, b) => b.put - a.put);
}

/**
 * Puts runs into the trash, all or none of them where one is being trained.
 * @returns their ids
 * @throws Failure `no-run`, `ambiguous-run`; `busy` for one that is being trained
 */
export async function trashRuns(
  workspace: Workspace,
  names: readonly string[],
  now = new Date(),
): Promise<{ removed: string[] }> {
  const removed = await withIdleRuns(workspace, names, async (runs) => {
    await makeFolder(trashOf(workspace));
    const stamp = now.toISOString().replaceAll(':', '-');
    for (const run of runs) await rename(workspace.run(run), join(trashOf(workspace), `${stamp} ${run}`));
  });
  return { removed };
}

/**
 * Takes runs out of the trash again.
 * @throws Failure `no-run` where one is not there any more, `exists` where there is one of that name again
 */
export async function restoreRuns(workspace: Workspace, runs: readonly string[]): Promise<{ restored: string[] }> {
  const entries = await entriesOf(workspace);
  for (const run of runs) {
    const entry = entries.find((each) => each.run === run);
    if (!entry)
      throw new Failure('no-run', `Run ${run} is not in the trash any more: it is emptied after ${KEPT_DAYS} days.`);
    if (await exists(workspace.run(run)))
      throw new Failure('exists', `There is a run ${run} again: remove it first, then this one can come back.`);
    await makeFolder(workspace.runs);
    await rename(entry.folder, workspace.run(run));
    // Who held them is another now.
    for (const lock of ['lock', 'trainer.lock']) await rm(join(workspace.run(run), lock), { force: true });
  }
  return { restored: [...runs] };
}

/** Removes for good what has been in the trash for long enough. */
export async function emptyTrash(workspace: Workspace, now = Date.now()): Promise<void> {
  for (const { folder, put } of await entriesOf(workspace))
    if (now - put > KEPT_DAYS * DAY_MS) await rm(folder, { recursive: true, force: true });
}

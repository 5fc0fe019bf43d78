import { Failure } from '../base/failure.ts';
import type { Workspace } from '../workspace/workspace.ts';
import { listRuns } from './run-folder.ts';

/** What names the newest run wherever a run is asked for. */
export const LATEST = 'latest';

/** Candidates that a sentence lists before it stops. */
const NAMED = 5;

/**
 * The id of the run that is meant: an id, the beginning of one and only one id, or `latest` for the run started last.
 * @throws Failure `no-run`; `ambiguous-run` where several ids begin so, with their names
 */
export async function findRun(workspace: Workspace, given: string): Promise<string> {
  const ids = await workspace.list('runs');
  if (ids.includes(given)) return given;
  if (given === LATEST) {
    const newest = (await listRuns(workspace)).at(-1);
    if (newest) return newest.run;
    throw new Failure('no-run', 'There are no runs in this workspace yet: train one with "sidetune train".');
  }
  const [first, ...others] = given === '' ? [] : ids.filter((id) => id.startsWith(given));
  if (first === undefined)
    throw new Failure(
      'no-run',
      `There is no run "${given}" in this workspace: "sidetune runs list" shows those there are.`,
    );
  if (others.length === 0) return first;
  const named = [first, ...others].slice(0, NAMED).join(', ');
  const more = others.length + 1 - NAMED;
  throw new Failure(
    'ambiguous-run',
    `"${given}" begins the names of ${others.length + 1} runs (${named}${more > 0 ? ` and ${more} more` : ''}): write more of the one that is meant.`,
  );
}

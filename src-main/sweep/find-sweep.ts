import { Failure } from '../base/failure.ts';
import type { Workspace } from '../workspace/workspace.ts';
import type { SweepConfig } from './sweep-config.ts';
import { readSweepConfig } from './sweep-folder.ts';

/** What names the newest sweep wherever one is asked for. */
const LATEST = 'latest';

/** Configs of all sweeps that have one, oldest first. */
export async function listSweepConfigs(workspace: Workspace): Promise<SweepConfig[]> {
  const configs: SweepConfig[] = [];
  for (const sweep of await workspace.list('sweeps')) {
    try {
      configs.push(await readSweepConfig(workspace, sweep));
    } catch (error) {
      // Only just begun, or damaged beyond use.
      if (!(error instanceof Failure)) throw error;
    }
  }
  return configs.sort((a, b) => a.created.localeCompare(b.created) || a.sweep.localeCompare(b.sweep));
}

/**
 * The id of the sweep that is meant: an id, the beginning of one and only one, or `latest`.
 * @throws Failure `no-sweep`, `ambiguous-sweep`
 */
export async function findSweep(workspace: Workspace, given: string): Promise<string> {
  const ids = await workspace.list('sweeps');
  if (ids.includes(given)) return given;
  const newest = given === LATEST ? (await listSweepConfigs(workspace)).at(-1)?.sweep : undefined;
  const fitting = newest === undefined ? ids.filter((id) => given !== '' && id.startsWith(given)) : [newest];
  const [first, ...others] = fitting;
  if (first !== undefined && others.length === 0) return first;
  if (first === undefined)
    throw new Failure(
      'no-sweep',
      `There is no sweep "${given}" in this workspace: "sidetune sweep list" shows those there are.`,
    );
  throw new Failure(
    'ambiguous-sweep',
    `"${given}" begins the names of ${others.length + 1} sweeps (${fitting.slice(0, 5).join(', ')}): write more of the one that is meant.`,
  );
}

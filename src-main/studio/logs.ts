/** The logs of errors that were ours, to be copied into a bug report. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { withoutPaths } from '../base/private-text.ts';
import { ownVersion } from '../base/version.ts';
import type { Workspace } from '../workspace/workspace.ts';
import { describeMachine } from './doctor.ts';

export interface BugReport {
  /** Logs there are in the workspace. */
  logs: number;
  text: string;
}

/** The newest ones, and not all of each: a report is pasted into a form. */
const MOST_LOGS = 5;
const MOST_CHARACTERS = 8000;

/** @param options.paths whether names of files and folders stay in */
export async function bugReport(workspace: Workspace, { paths }: { paths: boolean }): Promise<BugReport> {
  const folder = join(workspace.root, 'logs');
  // Named by time.
  const names = (await readdir(folder).catch(() => [])).filter((name) => name.endsWith('.log')).sort();
  const texts = await Promise.all(
    names
      .slice(-MOST_LOGS)
      .reverse()
      .map(async (name) => (await readFile(join(folder, name), 'utf8').catch(() => '')).slice(0, MOST_CHARACTERS)),
  );
  const { platform, node, cpu, cores, memoryBytes } = await describeMachine(workspace);
  const machine = `Sidetune ${ownVersion()}, Node ${node}, ${platform}, ${cpu}, ${cores} cores, ${Math.round(memoryBytes / 1e9)} GB`;
  const whole = [machine, ...texts.map((text) => text.trimEnd())].join('\n\n');
  return { logs: names.length, text: paths ? whole : withoutPaths(whole, programFolder) };
}

const programFolder = fileURLToPath(new URL('../../', import.meta.url));

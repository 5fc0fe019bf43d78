/** Electron's processes as own-process.ts wants them: with the RunAsNode fuse off, Node's fork would open the app again. */
import { utilityProcess } from 'electron';
import { fileURLToPath } from 'node:url';
import type { OwnProcess, ProcessOptions } from '../base/own-process.ts';
import { unpacked } from '../base/unpacked.ts';
import { serviceName } from './command-line.ts';
import { asOwnProcess } from './own-utility.ts';

const ENTRY = unpacked(fileURLToPath(new URL('./utility-entry.js', import.meta.url)));

/** Electron's environment has no undefined values, and nothing in it may turn the child into something else. */
function environment(env: NodeJS.ProcessEnv): Record<string, string> {
  const given = Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return Object.fromEntries(given.filter(([name]) => name !== 'NODE_OPTIONS' && name !== 'ELECTRON_RUN_AS_NODE'));
}

export function startUtility(
  entry: string,
  { args = [], execArgv = [], env = process.env, stderr }: ProcessOptions,
): OwnProcess {
  const child = utilityProcess.fork(ENTRY, [unpacked(entry), ...args], {
    execArgv: [...execArgv],
    env: environment(env),
    stdio: ['ignore', stderr === 'inherit' ? 'inherit' : 'ignore', stderr === 'keep' ? 'pipe' : stderr],
    serviceName: serviceName(entry),
  });
  return asOwnProcess(child);
}

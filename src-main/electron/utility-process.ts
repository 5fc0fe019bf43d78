/** Electron's processes as own-process.ts wants them: with the RunAsNode fuse off, Node's fork would open the app again. */
import { utilityProcess } from 'electron';
import type { UtilityProcess } from 'electron';
import { fileURLToPath } from 'node:url';
import { keptEnd, type OwnProcess, type ProcessEnd, type ProcessOptions } from '../base/own-process.ts';
import type { ThroughPort } from '../base/parent.ts';
import { serviceName, unpacked } from './command-line.ts';

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

function asOwnProcess(child: UtilityProcess): OwnProcess {
  const listeners: ((message: unknown) => void)[] = [];
  const endListeners: ((end: ProcessEnd) => void)[] = [];
  let complaint = '';
  let leaving = false;
  let gone = false;
  const kill = () => {
    if (gone || child.pid === undefined) {
      child.kill();
      return;
    }
    try {
      // `child.kill` asks politely, which the decoder takes for Ctrl-C and ignores.
      process.kill(child.pid, 'SIGKILL');
    } catch {
      // It ended meanwhile.
    }
  };
  child.stderr?.on('data', (text) => (complaint = keptEnd(complaint, text)));
  child.on('message', (message: ThroughPort) => {
    if (message === 'leaving') {
      leaving = true;
      kill();
    } else for (const listener of listeners) listener(message.told);
  });
  child.on('exit', (code) => {
    gone = true;
    for (const listener of endListeners) listener({ how: `exit code ${leaving ? 0 : code}`, complaint });
  });
  return {
    get pid() {
      return child.pid;
    },
    tell: (message) => {
      if (!gone) child.postMessage(message);
    },
    onMessage: (listener) => listeners.push(listener),
    onEnd: (listener) => endListeners.push(listener),
    kill,
  };
}

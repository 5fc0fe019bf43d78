import { execFileSync } from 'node:child_process';

export interface Listed {
  pid: number;
  args: string;
}

/** All processes below one, children first. */
export function processesBelow(pid: number): Listed[] {
  const lines = execFileSync('ps', ['-e', '-o', 'pid=,ppid=,stat=,args='], { encoding: 'utf8' }).trim().split('\n');
  const all = lines.flatMap((line) => {
    const [, own, parent, state, args] = /^\s*(\d+)\s+(\d+)\s+(\S+)\s+(.*)$/.exec(line) ?? [];
    return own && parent && args && !state?.startsWith('Z') ? [{ pid: Number(own), parent: Number(parent), args }] : [];
  });
  const below = (root: number): Listed[] =>
    all.filter(({ parent }) => parent === root).flatMap((child) => [child, ...below(child.pid)]);
  return below(pid);
}

/** Sends a signal to a process and all below it, the uppermost first: none of them gets to clean up. */
export function signalTree(pid: number, signal: NodeJS.Signals): void {
  for (const target of [pid, ...processesBelow(pid).map((listed) => listed.pid)]) sendSignal(target, signal);
}

/** To the first process below `pid` whose command line has `words`. @returns whether there was one */
export function signalChild(pid: number, words: string, signal: NodeJS.Signals): boolean {
  const child = processesBelow(pid).find(({ args }) => args.includes(words));
  return child !== undefined && sendSignal(child.pid, signal);
}

function sendSignal(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, signal);
  } catch {
    // It has ended meanwhile.
    return false;
  }
}

export function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

import { readFileSync } from 'node:fs';

/**
 * When a process started, as the system counts it: with its number, what tells a process from all others, as numbers
 * are used again and after a restart of a container are even the same. Undefined where it is not running, or where the
 * system does not say (all but Linux).
 */
export function startOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // Behind the name in brackets, which may hold anything: the third field and those after it; 22 is the start time.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[22 - 3];
  } catch {
    return undefined;
  }
}

/** Whether the process `pid` is running that started at `start`; with no start known, whether any of that number is. */
export function isRunning(pid: number, start: string | undefined): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    // Any error but "no such process" (no permission, say) speaks of a process.
    if (error instanceof Error && 'code' in error && error.code === 'ESRCH') return false;
  }
  const found = startOf(pid);
  return start === undefined || found === undefined || start === found;
}

/** This process, as `isRunning` wants it. */
export const thisProcess: { readonly pid: number; readonly start: string | undefined } = {
  pid: process.pid,
  start: startOf(process.pid),
};

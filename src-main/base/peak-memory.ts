import { readFileSync } from 'node:fs';

/**
 * Peak resident memory of this process in bytes: VmHWM where /proc has it, since what the system accounts to a forked
 * process starts from its parent's size; elsewhere the system's accounting.
 */
export function peakRssBytes(): number {
  try {
    const line = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'));
    if (line) return Number(line[1]) * 1024;
  } catch {
    // Not Linux.
  }
  return process.resourceUsage().maxRSS * 1024;
}

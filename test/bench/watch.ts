import { existsSync, readdirSync, readFileSync } from 'node:fs';

const LOOK_EVERY_MS = 50;

/** Looks at the memory of a process and of all that it has started. Where there is no /proc it sees nothing. */
export class Watch {
  /** Bytes that the largest of the processes has held at most; that all held together in a moment. */
  largest = 0;
  together = 0;
  private readonly peaks = new Map<string, number>();
  private timer: NodeJS.Timeout | undefined;

  start(root: number): void {
    if (existsSync('/proc/self/status')) this.timer = setInterval(() => this.look(root), LOOK_EVERY_MS);
  }

  stop(): void {
    clearInterval(this.timer);
  }

  /** A line a process. */
  described(): string {
    return [...this.peaks].map(([what, bytes]) => `${(bytes / 2 ** 20).toFixed(0)} MiB  ${what}`).join('\n');
  }

  private look(root: number): void {
    const processes = new Map<number, { parent: number; now: number; peak: number; what: string }>();
    for (const name of readdirSync('/proc').filter((each) => /^\d+$/.test(each))) {
      try {
        const status = readFileSync(`/proc/${name}/status`, 'utf8');
        const of = (field: string) => Number(new RegExp(`^${field}:\\s+(\\d+)`, 'm').exec(status)?.[1] ?? 0);
        const command = readFileSync(`/proc/${name}/cmdline`, 'utf8').split('\0');
        const what = `${name} ${command
          .filter((word) => word.includes('/'))
          .slice(1, 3)
          .join(' ')}`;
        processes.set(Number(name), { parent: of('PPid'), now: 1024 * of('VmRSS'), peak: 1024 * of('VmHWM'), what });
      } catch {
        // It has ended.
      }
    }
    const isOurs = (pid: number): boolean => {
      const found = processes.get(pid);
      return pid === root || (found !== undefined && found.parent !== pid && isOurs(found.parent));
    };
    const ours = [...processes].filter(([pid]) => isOurs(pid)).map(([, each]) => each);
    for (const { what, peak } of ours) this.peaks.set(what, peak);
    this.largest = Math.max(this.largest, ...ours.map(({ peak }) => peak));
    this.together = Math.max(
      this.together,
      ours.reduce((sum, { now }) => sum + now, 0),
    );
  }
}

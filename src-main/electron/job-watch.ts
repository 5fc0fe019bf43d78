/** What the desktop shows of jobs while the window is elsewhere: progress on the task bar, a notice at the end. */
import type { Job, StudioEvent } from '../studio/service/events.ts';
import { words } from './words.ts';

export interface Notice {
  title: string;
  body: string;
}

/** A job that took less has been watched to its end, or matters little. */
const LONG_MS = 60_000;

/** Jobs that are not over, as events have told. */
export class JobWatch {
  private readonly open = new Map<string, Job>();

  /** @returns what to tell of a long job that has just ended; undefined for everything else */
  see(event: StudioEvent): Notice | undefined {
    if (event.type === 'job-gone') this.open.delete(event.id);
    if (event.type !== 'job') return undefined;
    const { job } = event;
    if (job.state === 'running' || job.state === 'waiting') {
      this.open.set(job.id, job);
      return undefined;
    }
    return this.open.delete(job.id) ? noticeOf(job) : undefined;
  }

  /** How many run or wait. */
  get count(): number {
    return this.open.size;
  }

  /** Of what runs, the share that is done; -1, which shows no bar, where nothing says. */
  get share(): number {
    const progress = [...this.open.values()].map((job) => job.progress).find((each) => each !== null && each.total > 0);
    return progress ? Math.min(progress.done / progress.total, 1) : -1;
  }
}

export function noticeOf({ kind, state, subject, run, error, started, ended }: Job): Notice | undefined {
  if (state !== 'done' && state !== 'failed') return undefined;
  if (started === null || ended === null || Date.parse(ended) - Date.parse(started) < LONG_MS) return undefined;
  const body = error?.message ?? (run === null ? subject : `${subject}: ${run}`);
  return { title: words.notice[state](kind), body };
}

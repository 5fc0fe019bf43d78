/** What the workspace holds, as last heard: datasets, backbones, runs and jobs, kept fresh by the studio's events. */
import { SvelteMap } from 'svelte/reactivity';
import type { ReplyOf } from '../../src-main/studio/service/calls.ts';
import type { Job, StudioEvent } from '../../src-main/studio/service/events.ts';
import { router } from './router.svelte.ts';
import { connection, studio } from './studio.svelte.ts';
import { attempt, toasts } from './toasts.svelte.ts';

type EpochEvent = Extract<StudioEvent, { type: 'epoch' }>;
type SweepEvent = Extract<StudioEvent, { type: 'sweep' }>;
export type PaceEvent = Extract<StudioEvent, { type: 'pace' }>;

class Library {
  datasets = $state.raw<ReplyOf<'datasets.list'> | null>(null);
  backbones = $state.raw<ReplyOf<'backbones.list'> | null>(null);
  runs = $state.raw<ReplyOf<'runs.list'> | null>(null);
  sweeps = $state.raw<ReplyOf<'sweeps.list'> | null>(null);
  readonly jobs = new SvelteMap<string, Job>();
  private followed: string | null = null;
  /** Jobs whose page shows itself what became of them. */
  private readonly owned = new Set<string>();
  private readonly epochListeners = new Set<(event: EpochEvent) => void>();
  private readonly sweepListeners = new Set<(event: SweepEvent) => void>();
  private readonly paceListeners = new Set<(event: PaceEvent) => void>();

  constructor() {
    studio.subscribe((event) => this.hear(event));
    connection.onReturn(() => void this.refresh());
    void this.refresh();
  }

  /** Knows a job that was just queued, whether its first event comes before or after the answer. @returns its id */
  keep(job: Job): string {
    if (!this.jobs.has(job.id)) this.jobs.set(job.id, job);
    return job.id;
  }

  /** As `keep`, for a page that will show what became of the job itself. */
  own(job: Job): string {
    this.owned.add(job.id);
    // It may have failed before the answer came.
    const { error } = this.jobs.get(job.id) ?? job;
    if (error) toasts.withdraw(error.message);
    return this.keep(job);
  }

  /** For a page that goes before the job is over. */
  disown(id: string): void {
    this.owned.delete(id);
  }

  /** Shows the run or sweep that a job makes as soon as there is one, unless the user has gone elsewhere by then. */
  follow(job: Job): void {
    this.followed = this.keep(job);
    router.go(pageOf(job));
  }

  /** Jobs that run or wait, then those that can be resumed. */
  get openJobs(): Job[] {
    const order = ['running', 'waiting', 'paused', 'interrupted'];
    return [...this.jobs.values()]
      .filter(({ state }) => order.includes(state))
      .sort((a, b) => order.indexOf(a.state) - order.indexOf(b.state));
  }

  /** The job that trains a run, if one does. */
  jobOf(run: string): Job | undefined {
    return [...this.jobs.values()].findLast((job) => job.kind === 'train' && job.run === run);
  }

  async refresh(): Promise<void> {
    await attempt(async () => {
      const jobs = await studio.call('jobs.list', {});
      this.jobs.clear();
      for (const job of jobs) this.jobs.set(job.id, job);
      await Promise.all([this.read('datasets'), this.read('backbones'), this.read('runs'), this.read('sweeps')]);
    });
  }

  onEpoch(listener: (event: EpochEvent) => void): () => void {
    this.epochListeners.add(listener);
    return () => this.epochListeners.delete(listener);
  }

  onSweep(listener: (event: SweepEvent) => void): () => void {
    this.sweepListeners.add(listener);
    return () => this.sweepListeners.delete(listener);
  }

  onPace(listener: (event: PaceEvent) => void): () => void {
    this.paceListeners.add(listener);
    return () => this.paceListeners.delete(listener);
  }

  private hear(event: StudioEvent): void {
    switch (event.type) {
      case 'job':
        this.jobs.set(event.job.id, event.job);
        if (event.job.error && !this.owned.has(event.job.id)) toasts.error(event.job.error.message);
        if (event.job.id === this.followed && event.job.run !== null) {
          this.followed = null;
          const page = pageOf(event.job);
          if (router.place.path.join('/') === page) router.go(page, event.job.run);
        }
        break;
      case 'job-gone':
        this.jobs.delete(event.id);
        break;
      case 'epoch':
        for (const listener of this.epochListeners) listener(event);
        break;
      case 'pace':
        for (const listener of this.paceListeners) listener(event);
        break;
      case 'edge':
      case 'tradeoffs':
        // Their page listens itself.
        break;
      case 'sweep':
        for (const listener of this.sweepListeners) listener(event);
        break;
      case 'remark':
        toasts.say(event.sentence);
        break;
      case 'changed':
        void attempt(() => this.read(event.what));
        break;
    }
  }

  private async read(what: 'datasets' | 'backbones' | 'runs' | 'sweeps'): Promise<void> {
    if (what === 'datasets') this.datasets = await studio.call('datasets.list', {});
    else if (what === 'backbones') this.backbones = await studio.call('backbones.list', {});
    else if (what === 'sweeps') this.sweeps = await studio.call('sweeps.list', {});
    else this.runs = await studio.call('runs.list', {});
  }
}

/** Where what a job makes is listed. */
function pageOf({ kind }: Job): string {
  return kind === 'sweep' ? 'sweeps' : 'runs';
}

export const library = new Library();

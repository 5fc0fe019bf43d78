/**
 * Long tasks of the studio, one after the other in two lanes: what computes, and what only takes files in or sends them. What is not
 * finished is kept on disk, so that nothing that was asked for is lost when the studio ends in the middle.
 */
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { Failure } from '../../base/failure.ts';
import type { Progress } from '../../base/progress.ts';
import { writeFileAtomic } from '../../workspace/atomic.ts';
import { inTurn } from '../../base/in-turn.ts';
import { jobSchema, type Job, type JobKind, type StudioError } from './events.ts';

/** A job with what it was asked for; the request never leaves the studio. */
const keptSchema = z.object({ job: jobSchema, request: z.unknown() });
type Kept = z.infer<typeof keptSchema>;

/** What a task is given to work with. */
export interface JobContext {
  signal: AbortSignal;
  onProgress: (progress: Progress) => void;
  /** Says which run the job has made, so that a later resume goes on with it. */
  onRun: (run: string) => void;
  /** The run that an earlier part of the job has made. */
  run: string | null;
}

export type Perform = (kind: JobKind, request: unknown, context: JobContext) => Promise<unknown>;

const LANES: Readonly<Record<JobKind, 'compute' | 'transfer'>> = {
  train: 'compute',
  sweep: 'compute',
  evaluate: 'compute',
  export: 'compute',
  tradeoff: 'compute',
  import: 'transfer',
  sample: 'transfer',
  backbone: 'transfer',
  mlflow: 'transfer',
};

/** Why a task was told to end. */
class Told extends Error {
  constructor(readonly to: 'pause' | 'stop' | 'close') {
    super(to);
  }
}

/** Whether a task was told to end for good. */
export function isStopped({ reason }: AbortSignal): boolean {
  return reason instanceof Told && reason.to === 'stop';
}

const TELL_EVERY_MS = 100;

export class Jobs {
  private readonly kept = new Map<string, Kept>();
  private readonly stops = new Map<string, AbortController>();
  private readonly told = new Map<string, number>();
  private readonly running = new Map<string, Promise<void>>();
  private readonly saveInTurn = inTurn();
  private closed = false;

  private constructor(
    private readonly file: string,
    private readonly perform: Perform,
    private readonly onChange: (job: Job) => void,
    private readonly describeError: (error: unknown) => Promise<StudioError>,
  ) {}

  /**
   * Opens the jobs kept at `file`; those that ran or waited when the studio ended are `interrupted`. A damaged file is
   * put aside by being overwritten: the runs themselves are kept elsewhere.
   */
  static async open(
    file: string,
    perform: Perform,
    onChange: (job: Job) => void,
    describeError: (error: unknown) => Promise<StudioError>,
  ): Promise<Jobs> {
    const jobs = new Jobs(file, perform, onChange, describeError);
    const text = await readFile(file, 'utf8').catch(() => '[]');
    for (const { job, request } of parseKept(text)) {
      const state = job.state === 'running' || job.state === 'waiting' ? 'interrupted' : job.state;
      jobs.kept.set(job.id, { job: { ...job, state, progress: null }, request });
    }
    return jobs;
  }

  list(): Job[] {
    return [...this.kept.values()].map(({ job }) => job);
  }

  add(kind: JobKind, subject: string, request: unknown, run: string | null = null): Job {
    const job: Job = {
      id: randomBytes(6).toString('hex'),
      kind,
      subject,
      state: 'waiting',
      progress: null,
      run,
      error: null,
      result: null,
      queued: new Date().toISOString(),
      started: null,
      ended: null,
    };
    this.kept.set(job.id, { job, request });
    this.change(job.id, {});
    this.pump();
    return this.find(job.id).job;
  }

  /** Stops it so that it can be resumed. @throws Failure `no-job` */
  pause(jobId: string): void {
    this.tell(jobId, 'pause');
  }

  /** Ends it for good; a run that it made stays and can be resumed from its own page. @throws Failure `no-job` */
  stop(jobId: string): void {
    this.tell(jobId, 'stop');
  }

  /** Queues again what was paused, interrupted or has failed. @throws Failure `no-job` or `job` */
  resume(jobId: string): Job {
    const { job } = this.find(jobId);
    if (!['paused', 'interrupted', 'failed'].includes(job.state))
      throw new Failure('job', `This job is ${job.state}, so there is nothing to resume.`);
    this.change(jobId, { state: 'waiting', error: null, progress: null, ended: null });
    this.pump();
    return this.find(jobId).job;
  }

  /** Takes a job that is over off the list. @throws Failure `no-job` or `job` */
  dismiss(jobId: string): void {
    const { job } = this.find(jobId);
    if (job.state === 'running' || job.state === 'waiting')
      throw new Failure('job', 'This job is not over yet: stop it first.');
    this.kept.delete(jobId);
    void this.save();
  }

  /** Ends everything that runs, as a closed window or a shutdown does: it is `interrupted` the next time. */
  async close(): Promise<void> {
    this.closed = true;
    for (const stop of this.stops.values()) stop.abort(new Told('close'));
    await Promise.all(this.running.values());
    await this.save();
  }

  private tell(jobId: string, to: 'pause' | 'stop'): void {
    const { job } = this.find(jobId);
    const stop = this.stops.get(jobId);
    if (stop) stop.abort(new Told(to));
    else if (['waiting', 'paused', 'interrupted'].includes(job.state))
      this.change(jobId, to === 'pause' ? { state: 'paused' } : { state: 'stopped', ended: new Date().toISOString() });
  }

  private find(jobId: string): Kept {
    const kept = this.kept.get(jobId);
    if (!kept) throw new Failure('no-job', 'This job is no longer on the list.');
    return kept;
  }

  /** Starts the next job of every lane that is free. */
  private pump(): void {
    if (this.closed) return;
    for (const lane of ['compute', 'transfer'] as const) {
      const own = [...this.kept.values()].filter(({ job }) => LANES[job.kind] === lane);
      if (own.some(({ job }) => this.stops.has(job.id))) continue;
      const next = own.find(({ job }) => job.state === 'waiting');
      if (next) this.running.set(next.job.id, this.run(next));
    }
  }

  private async run({ job: { id: jobId, kind, run }, request }: Kept): Promise<void> {
    const stop = new AbortController();
    this.stops.set(jobId, stop);
    this.change(jobId, { state: 'running', started: new Date().toISOString() });
    try {
      const result = await this.perform(kind, request, {
        signal: stop.signal,
        run,
        onRun: (made) => this.change(jobId, { run: made }),
        onProgress: (progress) => this.progress(jobId, progress),
      });
      this.change(jobId, { state: 'done', result, ended: new Date().toISOString() });
    } catch (error) {
      this.change(jobId, await this.ending(error, stop.signal));
    } finally {
      this.stops.delete(jobId);
      this.running.delete(jobId);
    }
    this.pump();
  }

  private async ending(error: unknown, signal: AbortSignal): Promise<Partial<Job>> {
    const ended = new Date().toISOString();
    if (!(signal.reason instanceof Told)) return { state: 'failed', error: await this.describeError(error), ended };
    const states = { pause: 'paused', stop: 'stopped', close: 'interrupted' } as const;
    return { state: states[signal.reason.to], progress: null, ended };
  }

  /** Often; what nobody could read is left out, and nothing goes to the disk. */
  private progress(jobId: string, progress: Progress): void {
    const kept = this.find(jobId);
    kept.job = { ...kept.job, progress };
    const now = performance.now();
    if (now - (this.told.get(jobId) ?? -Infinity) < TELL_EVERY_MS && progress.done < progress.total) return;
    this.told.set(jobId, now);
    this.onChange(kept.job);
  }

  private change(jobId: string, change: Partial<Job>): void {
    const kept = this.find(jobId);
    kept.job = { ...kept.job, ...change };
    this.onChange(kept.job);
    void this.save();
  }

  /** Writes what is not finished. A full disk does not stop the work; only a restart would then not know of it. */
  private save(): Promise<void> {
    const unfinished = [...this.kept.values()].filter(({ job }) =>
      ['waiting', 'running', 'paused', 'interrupted'].includes(job.state),
    );
    const text = `${JSON.stringify(unfinished, null, 2)}\n`;
    return this.saveInTurn(() => writeFileAtomic(this.file, text).catch(() => undefined));
  }
}

function parseKept(text: string): Kept[] {
  try {
    return z.array(keptSchema).parse(JSON.parse(text));
  } catch {
    return [];
  }
}

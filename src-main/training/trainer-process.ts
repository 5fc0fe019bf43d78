/** The process that trains: some lanes, then it ends. They stop cleanly when told to, or when its parent is gone. */
import { join } from 'node:path';
import { Failure } from '../base/failure.ts';
import { parent } from '../base/parent.ts';
import { systemFailure } from '../base/system-failure.ts';
import { openEngine } from '../engine/open-engine.ts';
import { withLock } from '../workspace/lock.ts';
import { DivergedError } from './epoch.ts';
import { toTrainer, type FromTrainer, type TrainingJob } from './job.ts';
import { runFiles } from './run-folder.ts';
import { trainLanes, type LaneTask } from './train-lanes.ts';

const REPORT_EVERY_MS = 200;
/** Stops all. */
const stop = new AbortController();
/** Stops a lane: one may be told to before it has begun. */
const stopped = new Map<number, AbortController>();

function tell(message: FromTrainer): void {
  parent.tell(message);
}

function stopOf(lane: number): AbortController {
  const known = stopped.get(lane) ?? new AbortController();
  stopped.set(lane, known);
  return known;
}

parent.onGone(() => stop.abort());
// Ctrl-C and a terminal that closes reach the whole process group; the parent decides what it means.
for (const signal of ['SIGINT', 'SIGHUP'] as const) process.on(signal, () => undefined);
process.on('SIGTERM', () => stop.abort());
parent.listen((raw) => {
  const message = toTrainer.parse(raw);
  if (message.kind === 'stop') stopOf(message.lane).abort();
  else void train(message.jobs).finally(() => parent.leave());
});
tell({ kind: 'ready' });

async function train(jobs: readonly TrainingJob[]): Promise<void> {
  const tasks = jobs.map(taskOf);
  try {
    const { engine: kind, threads } = jobs[0]!.config;
    const engine = await openEngine(kind === 'eager' ? 'eager' : 'compiled', threads);
    await holding(jobs, () => trainLanes(engine, tasks));
  } catch (error) {
    for (const { listener } of tasks) listener.onFailed(error);
  }
}

/** Does a task while it holds the folders of all jobs: a trainer whose parent was killed still ends its step, and may be about to write. */
function holding([next, ...rest]: readonly TrainingJob[], task: () => Promise<void>): Promise<void> {
  if (!next) return task();
  return withLock(join(next.folder, runFiles.trainerLock), () => holding(rest, task), { signal: stop.signal });
}

function taskOf(job: TrainingJob, lane: number): LaneTask {
  const signal = AbortSignal.any([stop.signal, stopOf(lane).signal]);
  let reported: { at: number; done: number } | undefined;
  return {
    job,
    listener: {
      signal,
      onEpoch: (metrics) => tell({ kind: 'epoch', lane, metrics }),
      onProgress: (done, total) => {
        const at = performance.now();
        // The first report may stand for epochs of long ago.
        reported ??= { at, done };
        if (at - reported.at < REPORT_EVERY_MS && done < total) return;
        const imagesPerSecond = (1000 * (done - reported.done)) / Math.max(at - reported.at, 1);
        reported = { at, done };
        const { rss: rssBytes, heapUsed: heapBytes, heapTotal } = process.memoryUsage();
        const nativeBytes = Math.max(0, rssBytes - heapTotal);
        tell({ kind: 'progress', lane, pace: { done, total, imagesPerSecond, rssBytes, heapBytes, nativeBytes } });
      },
      onDone: (outcome) => tell({ kind: 'done', lane, outcome }),
      onFailed: (error) => tell(signal.aborted ? { kind: 'stopped', lane } : failed(lane, error)),
    },
  };
}

function failed(lane: number, error: unknown): FromTrainer {
  if (error instanceof DivergedError) {
    const message = `${error.message} Lower the learning rate with --lr.`;
    return { kind: 'failed', lane, code: 'diverged', message };
  }
  const failure = error instanceof Failure ? error : systemFailure(error);
  if (failure) return { kind: 'failed', lane, code: failure.code, message: failure.message };
  const message = error instanceof Error ? error.message : String(error);
  return { kind: 'failed', lane, code: 'internal', message, stack: error instanceof Error ? error.stack : undefined };
}

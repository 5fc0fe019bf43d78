/** The process that trains: one job, then it ends. It stops cleanly when told to, or when its parent is gone. */
import { join } from 'node:path';
import { Failure } from '../base/failure.ts';
import { parent } from '../base/parent.ts';
import { systemFailure } from '../base/system-failure.ts';
import { openEngine } from '../engine/open-engine.ts';
import { DivergedError } from './epoch.ts';
import { toTrainer, type FromTrainer } from './job.ts';
import { withLock } from '../workspace/lock.ts';
import { runFiles } from './run-folder.ts';
import { trainNetwork } from './train-network.ts';

const REPORT_EVERY_MS = 200;
const stop = new AbortController();

function tell(message: FromTrainer): void {
  parent.tell(message);
}

parent.onGone(() => stop.abort());
// Ctrl-C and a terminal that closes reach the whole process group; the parent decides what it means.
for (const signal of ['SIGINT', 'SIGHUP'] as const) process.on(signal, () => undefined);
process.on('SIGTERM', () => stop.abort());
parent.listen((raw) => {
  const message = toTrainer.parse(raw);
  if (message.kind === 'stop') stop.abort();
  else void train(message.job).finally(() => parent.leave());
});
tell({ kind: 'ready' });

async function train(job: Parameters<typeof trainNetwork>[1]): Promise<void> {
  let reported: { at: number; done: number } | undefined;
  try {
    const engine = await openEngine(job.config.engine === 'eager' ? 'eager' : 'compiled', job.config.threads);
    // A trainer whose parent was killed still ends its step, and may be about to write.
    const path = join(job.folder, runFiles.trainerLock);
    const outcome = await withLock(
      path,
      () =>
        trainNetwork(engine, job, {
          signal: stop.signal,
          onEpoch: (metrics) => tell({ kind: 'epoch', metrics }),
          onProgress: (done, total) => {
            const at = performance.now();
            // The first report may stand for epochs of long ago.
            reported ??= { at, done };
            if (at - reported.at < REPORT_EVERY_MS && done < total) return;
            const imagesPerSecond = (1000 * (done - reported.done)) / Math.max(at - reported.at, 1);
            reported = { at, done };
            const { rss: rssBytes, heapUsed: heapBytes, heapTotal } = process.memoryUsage();
            const nativeBytes = Math.max(0, rssBytes - heapTotal);
            tell({ kind: 'progress', pace: { done, total, imagesPerSecond, rssBytes, heapBytes, nativeBytes } });
          },
        }),
      { signal: stop.signal },
    );
    tell({ kind: 'done', outcome });
  } catch (error) {
    tell(stop.signal.aborted ? { kind: 'stopped' } : failed(error));
  }
}

function failed(error: unknown): FromTrainer {
  if (error instanceof DivergedError)
    return { kind: 'failed', code: 'diverged', message: `${error.message} Lower the learning rate with --lr.` };
  const failure = error instanceof Failure ? error : systemFailure(error);
  if (failure) return { kind: 'failed', code: failure.code, message: failure.message };
  const message = error instanceof Error ? error.message : String(error);
  return { kind: 'failed', code: 'internal', message, stack: error instanceof Error ? error.stack : undefined };
}

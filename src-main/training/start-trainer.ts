import { Failure } from '../base/failure.ts';
import { entryBeside, trainingArguments, trainingEnvironment } from '../base/fork-entry.ts';
import { startProcess } from '../base/own-process.ts';
import { fromTrainer, type Pace, type ToTrainer, type TrainingJob, type TrainingOutcome } from './job.ts';
import type { TrainingListener } from './train-lanes.ts';

export interface TrainerListener extends Pick<TrainingListener, 'onEpoch' | 'signal'> {
  onPace?: (pace: Pace) => void;
  /** Whether nothing of it will be kept: when stopped it is not asked to end its step first. */
  isRehearsal?: boolean;
}

/** A run to be trained, and who listens to it. */
export interface TrainerTask {
  job: TrainingJob;
  listener: TrainerListener;
}

/**
 * Trains a run in a process of its own, which has a memory figure of its own and whose end takes nobody along.
 * @throws Failure with the trainer's sentence, or `trainer-died`; the signal's reason when stopped.
 */
export function trainInProcess(job: TrainingJob, listener: TrainerListener = {}): Promise<TrainingOutcome> {
  return trainLanesInProcess([{ job, listener }])[0]!;
}

/**
 * As `trainInProcess`, for runs that are trained as the lanes of one process: each ends by itself, but with the process
 * all of them end that have not.
 * @see trainLanes
 */
export function trainLanesInProcess(tasks: readonly TrainerTask[]): Promise<TrainingOutcome>[] {
  const child = startProcess(entryBeside('./trainer-process', import.meta.url), {
    execArgv: trainingArguments,
    env: trainingEnvironment(),
    stderr: 'inherit',
  });
  const tell = (message: ToTrainer) => child.tell(message);
  const lanes = tasks.map(({ job, listener }, lane) => {
    const { signal, isRehearsal = false } = listener;
    const stop = () => (isRehearsal ? child.kill() : tell({ kind: 'stop', lane }));
    signal?.addEventListener('abort', stop);
    let resolve!: (outcome: TrainingOutcome) => void;
    let reject!: (error: Error) => void;
    const outcome = new Promise<TrainingOutcome>((...settle) => ([resolve, reject] = settle));
    const settled = outcome.finally(() => signal?.removeEventListener('abort', stop));
    return { job, listener, outcome: settled, resolve, reject };
  });
  child.onMessage((raw) => {
    const message = fromTrainer.parse(raw);
    if (message.kind === 'ready') {
      if (lanes.every(({ listener: { signal } }) => signal?.aborted)) child.kill();
      else tell({ kind: 'train', jobs: lanes.map(({ job }) => job) });
      return;
    }
    const { job, listener, resolve, reject } = lanes[message.lane]!;
    switch (message.kind) {
      case 'progress':
        listener.onPace?.(message.pace);
        break;
      case 'epoch':
        listener.onEpoch?.(message.metrics);
        break;
      case 'done':
        resolve(message.outcome);
        break;
      case 'stopped':
        reject(listener.signal?.aborted ? stoppedBy(listener.signal) : died('SIGTERM', job));
        break;
      case 'failed':
        reject(
          message.code === 'internal'
            ? Object.assign(new Error(message.message), { stack: message.stack })
            : new Failure(message.code, message.message),
        );
        break;
    }
  });
  child.onEnd(({ how }) => {
    for (const { job, listener, reject } of lanes)
      reject(listener.signal?.aborted ? stoppedBy(listener.signal) : died(how, job));
  });
  return lanes.map(({ outcome }) => outcome);
}

function died(how: string, { config }: TrainingJob): Failure {
  return new Failure(
    'trainer-died',
    `The training process ended unexpectedly (${how}): resume the run with --resume ${config.run}.`,
  );
}

function stoppedBy(signal: AbortSignal | undefined): Error {
  return signal?.reason instanceof Error ? signal.reason : new Error('Stopped.');
}

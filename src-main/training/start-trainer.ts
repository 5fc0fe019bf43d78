import { Failure } from '../base/failure.ts';
import { entryBeside, trainingArguments, trainingEnvironment } from '../base/fork-entry.ts';
import { startProcess } from '../base/own-process.ts';
import { fromTrainer, type Pace, type ToTrainer, type TrainingJob, type TrainingOutcome } from './job.ts';
import type { TrainingListener } from './train-network.ts';

export interface TrainerListener extends Pick<TrainingListener, 'onEpoch' | 'signal'> {
  onPace?: (pace: Pace) => void;
  /** Whether nothing of it will be kept: when stopped it is not asked to end its step first. */
  isRehearsal?: boolean;
}

/**
 * Trains a run in a process of its own, which has a memory figure of its own and whose end takes nobody along.
 * @throws Failure with the trainer's sentence, or `trainer-died`; the signal's reason when stopped.
 */
export function trainInProcess(
  job: TrainingJob,
  { onPace, onEpoch, signal, isRehearsal = false }: TrainerListener = {},
): Promise<TrainingOutcome> {
  const child = startProcess(entryBeside('./trainer-process', import.meta.url), {
    execArgv: trainingArguments,
    env: trainingEnvironment(),
    stderr: 'inherit',
  });
  const tell = (message: ToTrainer) => child.tell(message);
  const stop = () => (isRehearsal ? child.kill() : tell({ kind: 'stop' }));
  signal?.addEventListener('abort', stop);
  return new Promise<TrainingOutcome>((resolve, reject) => {
    child.onMessage((raw) => {
      const message = fromTrainer.parse(raw);
      switch (message.kind) {
        case 'ready':
          if (signal?.aborted) child.kill();
          else tell({ kind: 'train', job });
          break;
        case 'progress':
          onPace?.(message.pace);
          break;
        case 'epoch':
          onEpoch?.(message.metrics);
          break;
        case 'done':
          resolve(message.outcome);
          break;
        case 'stopped':
          reject(signal?.aborted ? stoppedBy(signal) : died('SIGTERM', job));
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
    child.onEnd(({ how }) => reject(signal?.aborted ? stoppedBy(signal) : died(how, job)));
  }).finally(() => signal?.removeEventListener('abort', stop));
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

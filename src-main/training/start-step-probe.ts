import { fork } from 'node:child_process';
import { forkEntry, trainingEnvironment } from '../base/fork-entry.ts';
import type { StepQuestion, TimedStep } from './step-question.ts';

/** However slow the machine: what is timed by then has to do. */
const LONGEST_MS = 15_000;

/**
 * `probeSteps` in a process of its own: its memory is given back before training begins, and should it crash, what it
 * has told by then is used.
 * @throws the signal's reason when stopped
 */
export function probeInProcess(question: StepQuestion, signal?: AbortSignal): Promise<TimedStep[]> {
  signal?.throwIfAborted();
  const { entry, execArgv } = forkEntry('./step-probe-process', import.meta.url);
  const child = fork(entry, {
    serialization: 'advanced',
    execArgv,
    env: trainingEnvironment(),
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
  });
  const stop = () => child.kill('SIGKILL');
  const timer = setTimeout(stop, LONGEST_MS);
  signal?.addEventListener('abort', stop);
  const timed: TimedStep[] = [];
  child.on('message', (step) => timed.push(step as TimedStep));
  return new Promise<TimedStep[]>((resolve) => {
    // Closed while it is being told: it has crashed, and its end says so.
    child.on('error', () => resolve(timed));
    child.on('close', () => resolve(timed));
    child.send(question, () => undefined);
  })
    .finally(() => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', stop);
    })
    .then((steps) => {
      signal?.throwIfAborted();
      return steps;
    });
}

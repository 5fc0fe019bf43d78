import { entryBeside, trainingEnvironment } from '../base/fork-entry.ts';
import { startProcess } from '../base/own-process.ts';
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
  const child = startProcess(entryBeside('./step-probe-process', import.meta.url), {
    env: trainingEnvironment(),
    stderr: 'ignore',
  });
  const stop = () => child.kill();
  const timer = setTimeout(stop, LONGEST_MS);
  signal?.addEventListener('abort', stop);
  const timed: TimedStep[] = [];
  child.onMessage((step) => timed.push(step as TimedStep));
  return new Promise<TimedStep[]>((resolve) => {
    child.onEnd(() => resolve(timed));
    child.tell(question);
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

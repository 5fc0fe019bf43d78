import { trainingEnvironment } from '../../base/fork-entry.ts';
import { startProcess } from '../../base/own-process.ts';
import type { StepQuestion } from './step-question.ts';

export interface ProbeOptions {
  /** However slow the machine: then the process is killed, and what it has told by then has to do. */
  longestMs: number;
  /** Node's flags for it. */
  execArgv?: readonly string[];
  signal: AbortSignal | undefined;
}

/**
 * Tells a process a question and hears its answers until it ends: its memory is given back before training begins, and
 * should it crash, what it has told by then is used.
 * @param entry of the process
 * @throws the signal's reason when stopped
 */
export async function runProbe(
  entry: Parameters<typeof startProcess>[0],
  question: StepQuestion,
  onAnswer: (answer: unknown) => void,
  { longestMs, execArgv, signal }: ProbeOptions,
): Promise<void> {
  signal?.throwIfAborted();
  const child = startProcess(entry, {
    ...(execArgv ? { execArgv: [...execArgv] } : {}),
    env: trainingEnvironment(),
    stderr: 'ignore',
  });
  const stop = () => child.kill();
  const timer = setTimeout(stop, longestMs);
  signal?.addEventListener('abort', stop);
  child.onMessage(onAnswer);
  const ended = new Promise<void>((resolve) => child.onEnd(() => resolve()));
  child.tell(question);
  await ended;
  clearTimeout(timer);
  signal?.removeEventListener('abort', stop);
  signal?.throwIfAborted();
}

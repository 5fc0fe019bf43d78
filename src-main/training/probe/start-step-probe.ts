import { entryBeside } from '../../base/fork-entry.ts';
import { runProbe } from './start-probe.ts';
import type { StepQuestion, TimedStep } from './step-question.ts';

const LONGEST_MS = 15_000;

/** `probeSteps` in a process of its own. @throws the signal's reason when stopped */
export async function probeInProcess(question: StepQuestion, signal?: AbortSignal): Promise<TimedStep[]> {
  const timed: TimedStep[] = [];
  await runProbe(
    entryBeside('./step-probe-process', import.meta.url),
    question,
    (step) => timed.push(step as TimedStep),
    { longestMs: LONGEST_MS, signal },
  );
  return timed;
}

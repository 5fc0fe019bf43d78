/** The process behind `probeInProcess`: told a question, it tells every time it has taken, and ends. */
import type { StepQuestion } from './step-question.ts';
import { probeSteps } from './step-probe.ts';

process.on('disconnect', () => process.exit());
// Ctrl-C reaches the whole process group; the parent decides what it means.
process.on('SIGINT', () => undefined);
process.once('message', (question) => {
  void probeSteps(question as StepQuestion, (step) => process.send?.(step, () => undefined)).finally(() => {
    if (process.connected) process.disconnect();
  });
});

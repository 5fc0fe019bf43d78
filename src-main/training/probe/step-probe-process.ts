/** The process behind `probeInProcess`: told a question, it tells every time it has taken, and ends. */
import { parent } from '../../base/parent.ts';
import type { StepQuestion } from './step-question.ts';
import { probeSteps } from './step-probe.ts';

parent.onGone(() => process.exit());
// Ctrl-C reaches the whole process group; the parent decides what it means.
process.on('SIGINT', () => undefined);
parent.listen((question) => {
  void probeSteps(question as StepQuestion, (step) => parent.tell(step)).finally(() => parent.leave());
});

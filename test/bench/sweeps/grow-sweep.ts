/** Trials that nobody has trained, written into a sweep as the scheduler writes them. */
import { Journal } from '../../../src-main/sweep/journal.ts';
import { samplerOf } from '../../../src-main/sweep/sampler.ts';
import { readSweepConfig, sweepFile } from '../../../src-main/sweep/sweep-folder.ts';
import { SweepState } from '../../../src-main/sweep/sweep-state.ts';
import { generatorFor, uniform } from '../../../src-main/training/random.ts';
import type { Workspace } from '../../../src-main/workspace/workspace.ts';

const EPOCHS = 30;

/** Adds random trials to a sweep that is not running until it has as many as are wanted; one in three is pruned. */
export async function growSweep(workspace: Workspace, sweep: string, trials: number): Promise<void> {
  const { space } = await readSweepConfig(workspace, sweep);
  const state = new SweepState(space);
  const { journal, events } = await Journal.open(sweepFile(workspace, sweep, 'log'));
  for (const event of events) state.apply(event);
  const like = state.known().find(({ result }) => result)!.result!;
  const sampler = samplerOf('random', space, 1);
  for (let trial = state.known().length; trial < trials; trial++) {
    const generator = generatorFor(3, trial);
    const point = sampler.propose(trial, [], (each) => state.taken.has(each))!;
    const begun = { event: 'trial', trial, point } as const;
    state.apply(begun);
    journal.append(begun);
    const [peak, pace] = [0.35 + 0.4 * uniform(generator), 0.6 + 0.35 * uniform(generator)];
    const epochs = trial % 3 === 0 ? Math.ceil(EPOCHS / 9) : EPOCHS;
    let top1 = 0;
    for (let epoch = 1; epoch <= epochs; epoch++) {
      top1 = Math.max(0, peak * (1 - pace ** epoch) + 0.02 * (uniform(generator) - 0.5));
      journal.append({ event: 'epoch', trial, epoch, loss: 2 / epoch, top1, valLoss: 2 - top1 });
    }
    const result = {
      ...like,
      parameters: Math.round(8000 * (1 + 9 * uniform(generator))),
      seconds: { extract: 0, train: 2 + 8 * uniform(generator), total: 10 },
      peakRssBytes: { trainer: 1.5e8 + 2e8 * uniform(generator), vit: null },
      epochs,
      val: { top1, macro: top1 },
    };
    const pruned = epochs < EPOCHS;
    const reason = pruned ? { reason: 'pruned after epoch 4: others were better by then' } : {};
    journal.append({ event: 'end', trial, state: pruned ? 'pruned' : 'done', ...reason, result });
  }
  await journal.sync();
  await journal.close();
}

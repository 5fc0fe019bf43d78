import { Failure } from '../../base/failure.ts';
import type { TrainingOutcome } from '../../training/job.ts';
import { trainLanesInProcess, type TrainerTask } from '../../training/start-trainer.ts';

/** Deaths of a trial's process, with no epoch done in between, after which the trial has failed. */
const MOST_DEATHS = 3;

/** Deaths of a process that trains several, with no epoch done in between, after which each trial has one of its own. */
const MOST_DEATHS_TOGETHER = 2;

/** A trial to be trained, beside others that can be lanes of the same process. */
export interface TrialLane {
  signal: AbortSignal;
  /** Makes it ready to begin, or to go on from where it is. */
  ready(): Promise<TrainerTask>;
  /** Forgets its files, which are damaged. */
  startOver(): Promise<void>;
}

interface Under {
  lane: TrialLane;
  epochs: number;
  deaths: number;
  resolve: (outcome: TrainingOutcome) => void;
  reject: (error: unknown) => void;
}

/**
 * Trains trials in one process, as its lanes. When it dies, those that have not ended go on in another; when it dies again
 * at the same place, one after the other, so that the one to blame takes nobody along.
 * @returns how each ends, as soon as it does
 */
export function trainTrials(lanes: readonly TrialLane[]): Promise<TrainingOutcome>[] {
  const outcomes: Promise<TrainingOutcome>[] = [];
  const under = lanes.map((lane): Under => {
    let settle!: Pick<Under, 'resolve' | 'reject'>;
    outcomes.push(new Promise((resolve, reject) => (settle = { resolve, reject })));
    return { lane, epochs: 0, deaths: 0, ...settle };
  });
  void untilAllEnd(under);
  return outcomes;
}

async function untilAllEnd(all: readonly Under[]): Promise<void> {
  let left = all;
  let deaths = 0;
  while (left.length > 0) {
    const together = deaths < MOST_DEATHS_TOGETHER ? left : left.slice(0, 1);
    const before = epochsOf(together);
    const { goOn, died } = await trainOnce(together);
    if (died) deaths = epochsOf(together) > before ? 1 : deaths + 1;
    left = left.filter((each) => !together.includes(each) || goOn.includes(each));
  }
}

/** One process with some trials. @returns those that are to go on in another, and whether it died */
async function trainOnce(together: readonly Under[]): Promise<{ goOn: Under[]; died: boolean }> {
  const goOn: Under[] = [];
  let died = false;
  const failed = async (each: Under, before: number, error: unknown): Promise<void> => {
    const code = error instanceof Failure && !each.lane.signal.aborted ? error.code : undefined;
    if (code !== 'damaged-file' && code !== 'trainer-died') {
      each.reject(error);
      return;
    }
    if (code === 'damaged-file') await each.lane.startOver();
    else died = true;
    // Of several it is not known whose death it is.
    if (code === 'damaged-file' || together.length === 1) each.deaths = each.epochs > before ? 1 : each.deaths + 1;
    if (each.deaths < MOST_DEATHS) goOn.push(each);
    else each.reject(new Failure(code, `${sentenceOf(error)} (${each.deaths} times at the same epoch).`));
  };
  const ready: { each: Under; before: number; task: TrainerTask }[] = [];
  for (const each of together) {
    const before = each.epochs;
    try {
      const task = await each.lane.ready();
      each.lane.signal.throwIfAborted();
      ready.push({ each, before, task: counting(task, each) });
    } catch (error) {
      await failed(each, before, error).catch(each.reject);
    }
  }
  if (ready.length > 0) {
    const outcomes = trainLanesInProcess(ready.map(({ task }) => task));
    await Promise.all(
      ready.map(({ each, before }, index) =>
        outcomes[index]!.then(each.resolve, (error: unknown) => failed(each, before, error)).catch(each.reject),
      ),
    );
  }
  return { goOn, died };
}

/** What went wrong, without the advice after it. */
function sentenceOf(error: unknown): string {
  return error instanceof Error ? error.message.split(':')[0]! : String(error);
}

function counting(task: TrainerTask, each: Under): TrainerTask {
  const { onEpoch } = task.listener;
  return {
    ...task,
    listener: {
      ...task.listener,
      onEpoch: (metrics) => {
        each.epochs++;
        onEpoch?.(metrics);
      },
    },
  };
}

function epochsOf(trials: readonly Under[]): number {
  return trials.reduce((sum, { epochs }) => sum + epochs, 0);
}

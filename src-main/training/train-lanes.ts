import { peakRssBytes } from '../base/peak-memory.ts';
import type { Engine } from '../engine/program.ts';
import { readParameters } from './checkpoint.ts';
import { DivergedError, type Lane } from './epoch.ts';
import { Evaluator } from './evaluate-network.ts';
import type { TrainingJob, TrainingOutcome } from './job.ts';
import { laneKey } from './lane-key.ts';
import type { Metrics } from './metrics.ts';
import { evaluatorOptions, openTraining, type OpenTraining } from './open-training.ts';
import type { EpochMetrics, Score } from './run-folder.ts';
import { fileOf, keepEpoch, startOf, type Standing } from './standing.ts';

export interface TrainingListener {
  /** Images done, of all epochs. */
  onProgress?: (done: number, total: number) => void;
  onEpoch?: (metrics: EpochMetrics) => void;
  /** Ends this run alone, whatever it is trained beside. */
  signal?: AbortSignal;
}

/** A run to be trained in step with others, and who wants to know of it. */
export interface LaneTask {
  job: TrainingJob;
  listener: TrainingListener & {
    onDone: (outcome: TrainingOutcome) => void;
    onFailed: (error: unknown) => void;
  };
}

/**
 * Trains runs to their ends, or on from their checkpoints, in step with each other: they have one compiled graph, and
 * a batch is read once for all. An epoch, val, metrics.jsonl, the best parameters so far (first best top-1 on val;
 * without a val split, the last), the checkpoint; then test, read once, with the best parameters.
 *
 * What an epoch does depends on the seed and its number alone, so a resumed run gives the same numbers bit for bit, and
 * so does one beside others. Each ends by itself: what stops one, or lets it fail, is nothing to the rest. Those that
 * are behind, as some are after a process was killed, catch up first.
 * @throws RangeError where the runs cannot have one graph
 */
export async function trainLanes(engine: Engine, tasks: readonly LaneTask[]): Promise<void> {
  checkAlike(tasks);
  const lanes = tasks.map((task) => new TrainedLane(task));
  const begun = performance.now();
  try {
    const drops = tasks.some(({ job }) => job.config.settings.dropPath > 0);
    const training = await openTraining(engine, tasks[0]!.job, drops);
    try {
      const opened = secondsSince(begun) / lanes.length;
      for (const lane of lanes) await lane.attempt(() => lane.begin(engine, training, opened));
      for (;;) {
        // With no test to be read, they need not wait for the others.
        for (const lane of lanes)
          if (lane.isWhole && !lane.task.job.test) await lane.attempt(() => lane.finish(engine));
        const together = behind(lanes);
        if (together.length === 0) break;
        await trainEpoch(training, together);
      }
    } finally {
      await training.close();
    }
    // Test is read once the graphs that train are gone.
    for (const lane of lanes) await lane.attempt(() => lane.finish(engine));
  } catch (error) {
    // Of what they share: none can go on.
    for (const lane of lanes) lane.fail(error);
  }
}

function checkAlike(tasks: readonly LaneTask[]): void {
  const keys = tasks.map(({ job: { config } }) => {
    const { settings, stepForm, microBatch, threads } = config;
    return JSON.stringify([laneKey(settings), stepForm, microBatch, threads]);
  });
  if (new Set(keys).size !== 1) throw new RangeError('Lanes are runs with the same shapes and the same batches.');
}

/** Of the lanes that have epochs to go, those that have most. */
function behind(lanes: readonly TrainedLane[]): TrainedLane[] {
  const going = lanes.filter((lane) => lane.goesOn);
  const epoch = Math.min(...going.map((lane) => lane.epochs));
  return going.filter((lane) => lane.epochs === epoch);
}

/** The next epoch of lanes that have done as many, and their look at val. */
async function trainEpoch(training: OpenTraining, together: readonly TrainedLane[]): Promise<void> {
  const { runner, evaluator } = training;
  const begun = performance.now();
  const outcomes = await runner.run(
    together[0]!.epochs,
    together.map(({ lane }) => lane),
    (images) => {
      for (const lane of together) lane.report(images);
    },
  );
  const through = together.flatMap((lane, index) => {
    const outcome = outcomes[index]!;
    if (!('error' in outcome)) return [{ lane, ...outcome }];
    lane.fail(outcome.error);
    return [];
  });
  const scores = await evaluator?.metricsOf(
    through.map(({ lane: { lane, task } }) => ({
      parameters: lane.optimizer.parameters,
      signal: task.listener.signal,
    })),
  );
  const share = secondsSince(begun) / together.length;
  for (const [index, { lane, ...outcome }] of through.entries())
    await lane.attempt(() => lane.keep(training, outcome, scores?.[index], share));
}

/** A run on its way. */
class TrainedLane {
  lane!: Lane;
  standing!: Standing;
  /** This lane's share of the time that all have taken, with that of earlier processes. */
  seconds = 0;
  private ended = false;

  constructor(readonly task: LaneTask) {}

  /** Epochs done. */
  get epochs(): number {
    return this.standing.history.length;
  }

  /** Whether all its epochs are done, and its end not said. */
  get isWhole(): boolean {
    return !this.ended && this.epochs === this.task.job.config.settings.epochs;
  }

  get goesOn(): boolean {
    return !this.ended && !this.isWhole;
  }

  /** @param opened seconds that what the lanes share has taken, this one's part of it */
  async begin(engine: Engine, training: OpenTraining, opened: number): Promise<void> {
    const { job, listener } = this.task;
    const begun = performance.now();
    this.standing = await startOf(engine, job, training.parameters, listener.signal);
    this.lane = training.laneOf(job, this.standing.checkpoint, listener.signal);
    const before = this.standing.history.reduce((sum, { seconds }) => sum + seconds, 0);
    this.seconds = before + opened + secondsSince(begun);
  }

  /** Says how far it is. @param images done in this epoch */
  report(images: number): void {
    const { job, listener } = this.task;
    const length = job.train.labels.length / job.config.settings.views;
    listener.onProgress?.(this.epochs * length + images, job.config.settings.epochs * length);
  }

  /** Keeps an epoch that is done. @param share of the seconds that it took with other lanes */
  async keep(
    { parameters, runner }: OpenTraining,
    { loss, top1 }: { loss: number; top1: number },
    scores: Metrics | undefined,
    share: number,
  ): Promise<void> {
    const { job, listener } = this.task;
    listener.signal?.throwIfAborted();
    const epoch = this.epochs + 1;
    if (scores && !Number.isFinite(scores.loss)) throw new DivergedError(epoch);
    const metrics = {
      epoch,
      loss,
      top1,
      learningRate: this.lane.rates(epoch * runner.steps - 1).side,
      val: scores ? { top1: scores.top1, macro: scores.macro, loss: scores.loss } : null,
      seconds: share,
      rssBytes: process.memoryUsage.rss(),
    };
    const writing = performance.now();
    await keepEpoch(job, parameters, this.standing, this.lane.optimizer, metrics);
    this.seconds += share + secondsSince(writing);
    listener.onEpoch?.(metrics);
  }

  /** Test, where it is to be read, and the end. */
  async finish(engine: Engine): Promise<void> {
    const { job, listener } = this.task;
    const { best, history } = this.standing;
    const begun = performance.now();
    const test = await testScore(engine, job, listener.signal);
    this.ended = true;
    listener.onDone({
      epochs: history.length,
      loss: history.at(-1)!.loss,
      bestEpoch: best!.epoch,
      val: best!.val,
      test,
      seconds: this.seconds + secondsSince(begun),
      peakRssBytes: Math.max(peakRssBytes(), ...history.map(({ rssBytes }) => rssBytes)),
    });
  }

  /** Does something that this lane alone fails with. */
  async attempt(action: () => Promise<void>): Promise<void> {
    if (this.ended) return;
    try {
      await action();
    } catch (error) {
      this.fail(error);
    }
  }

  fail(error: unknown): void {
    if (this.ended) return;
    this.ended = true;
    this.task.listener.onFailed(error);
  }
}

/** The best parameters' score on the test split; null when there is none to be read. */
async function testScore(engine: Engine, job: TrainingJob, signal: AbortSignal | undefined): Promise<Score | null> {
  if (!job.test) return null;
  const options = evaluatorOptions(job);
  const evaluator = await Evaluator.open(engine, job.test, options);
  try {
    const best = await readParameters(fileOf(job, 'best'), options.parameters);
    const { top1, macro } = await evaluator.metrics(best, signal);
    return { top1, macro };
  } finally {
    await evaluator.close();
  }
}

function secondsSince(begun: number): number {
  return (performance.now() - begun) / 1000;
}

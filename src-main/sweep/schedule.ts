import type { EpochMetrics } from '../training/run-folder.ts';
import { MemoryBudget } from './memory-budget.ts';
import { byValue, type Observation } from './observation.ts';
import type { Pruner } from './pruner.ts';
import type { Sampler } from './sampler.ts';
import type { Point } from './space.ts';
import type { Extension, SweepEvent, TrialEnd, TrialResult } from './sweep-events.ts';
import type { SweepState, Trial } from './sweep-state.ts';

/** What a trial is run with. */
export interface TrialHooks {
  /** Aborted when the trial is pruned or stopped, and when the sweep is. */
  signal: AbortSignal;
  onEpoch: (metrics: EpochMetrics, isLast: boolean) => void;
  /** Resident bytes of the process that trains. */
  onMemory: (bytes: number) => void;
}

/** What the folder of a trial says, whatever the log has lost. */
export interface BegunTrial {
  point: Point;
  extension: Extension | undefined;
  epochs: readonly EpochMetrics[];
  end: TrialEnd | undefined;
}

/** What the scheduler knows nothing of: how a trial is trained, and where it is kept. */
export interface TrialRunner {
  begun(trial: number): Promise<BegunTrial | undefined>;
  /** Makes a trial ready to go on with another, unless it is already. */
  extend(trial: number, extension: Extension): Promise<void>;
  /** Nobody will go on with a trial that has ended, or if so, from its beginning, to the same numbers. */
  settle(trial: number): Promise<void>;
  /** Equal for trials that take alike memory. */
  shapeOf(point: Point): string;
  /** @throws what the trial has failed with; whatever `endsSweep` when the sweep itself cannot go on */
  run(trial: number, point: Point, hooks: TrialHooks): Promise<TrialResult>;
  /** The result of a trial that was cut short, as far as it came. */
  partial(trial: Readonly<Trial>): Promise<TrialResult | null>;
  /** Keeps how a trial has ended beside the log. */
  keepEnd(end: TrialEnd): Promise<void>;
  endsSweep(error: unknown): boolean;
}

/** What may be changed while a sweep runs. */
export interface Controls {
  /** Without those that go on with others. */
  trials: number;
  parallel: number;
  /** Trials to end by hand. */
  stopped: readonly number[];
  /** Whole trials to go on with. */
  extensions: readonly Extension[];
}

export interface Schedule {
  sampler: Sampler;
  pruner: Pruner;
  lag: number | null;
  memory: number | null;
  runner: TrialRunner;
  state: SweepState;
  /** Keeps an event, and tells whoever listens; the state has it already. */
  keep: (event: SweepEvent) => void;
  controls: Controls;
  signal?: AbortSignal;
}

/** Why a trial is cut short, though the sweep goes on. */
class CutShort extends Error {}

const BY_HAND = 'stopped by hand';

/** Whole trials, the best, that are kept ready to be gone on with. */
const READY = 10;

interface Running {
  shape: string;
  stop: AbortController;
}

/**
 * Runs trials until as many as were asked for have ended: those that were begun go on first, then those that go on with
 * others, then what the sampler proposes, as many at a time as are wanted and memory has room for. What a trial sees of others is what has ended by
 * then; with a lag, it is all up to a fixed number before its own, whatever runs beside it. Of trials that go on with others it sees nothing:
 * they are asked for at any time, and change nothing for the rest.
 */
export class Scheduler {
  private readonly running = new Map<number, Running>();
  private readonly budget: MemoryBudget;
  private readonly interrupted: Trial[];
  /** The best first. */
  private readonly ready: Trial[] = [];
  private controls: Controls;
  /** The number of the next new trial. */
  private next = 0;
  /** Trials below this number have ended. */
  private settled = 0;
  private exhausted = false;
  private ending: { error: unknown } | undefined;
  private wake: () => void = () => undefined;

  constructor(private readonly plan: Schedule) {
    this.controls = plan.controls;
    this.budget = new MemoryBudget(plan.memory);
    this.interrupted = plan.state.known().filter(({ state }) => state === 'running');
    for (const trial of plan.state.known()) {
      const { result, point, state } = trial;
      if (result) this.budget.measured(plan.runner.shapeOf(point), result.peakRssBytes.trainer);
      if (state === 'done') this.ready.push(trial);
    }
    this.ready.sort(byValue).splice(READY);
  }

  /** @throws the signal's reason, or what ends the sweep; nothing runs any more then */
  async run(): Promise<void> {
    const { signal } = this.plan;
    const stopAll = () => this.stopAll(signal?.reason);
    signal?.addEventListener('abort', stopAll);
    try {
      if (signal?.aborted) stopAll();
      for (;;) {
        const woken = new Promise<void>((resolve) => (this.wake = resolve));
        while (!this.ending && (await this.startNext()));
        if (this.running.size === 0) break;
        await woken;
      }
    } finally {
      signal?.removeEventListener('abort', stopAll);
    }
    if (this.ending) throw this.ending.error;
  }

  /** Takes effect at once, but for trials that run beyond a smaller number at a time: they run on. */
  change(controls: Controls): void {
    this.controls = controls;
    for (const [trial, { stop }] of this.running)
      if (controls.stopped.includes(trial)) stop.abort(new CutShort(BY_HAND));
    this.wake();
  }

  private stopAll(error: unknown): void {
    this.ending ??= { error };
    for (const { stop } of this.running.values()) stop.abort(error);
    this.wake();
  }

  /** @returns whether a trial was started, or found to be over */
  private async startNext(): Promise<boolean> {
    const { state, runner } = this.plan;
    if (this.running.size >= this.controls.parallel) return false;
    const next = this.interrupted[0]?.number ?? this.nextNew();
    if (next === undefined) return false;
    const begun = await runner.begun(next);
    const made = state.trials[next] ?? begun ?? this.asked() ?? this.proposed(next);
    if (!made) {
      this.exhausted = true;
      return false;
    }
    const { point, extension } = made;
    const shape = runner.shapeOf(point);
    const rest = [...this.running.values()].map((each) => each.shape);
    if (!begun?.end && !this.budget.fits(shape, rest)) return false;
    if (extension) await runner.extend(next, extension);
    if (this.interrupted[0]?.number === next) this.interrupted.shift();
    else this.keep({ event: 'trial', trial: next, point, ...(extension ? { extension } : {}) });
    const trial = state.trials[next]!;
    if (begun?.end) this.adopt(trial, begun.epochs, begun.end);
    else if (this.controls.stopped.includes(next)) await this.endShort(trial, BY_HAND);
    else this.start(trial, shape);
    return true;
  }

  /** Takes over a trial that has ended, with the epochs that the log has lost. */
  private adopt(trial: Trial, epochs: readonly EpochMetrics[], end: TrialEnd): void {
    for (const metrics of epochs.slice(trial.epochs, end.result?.epochs ?? 0)) this.keepEpoch(trial, metrics);
    this.keep(end);
  }

  /** Undefined where none is wanted, or it may not be proposed yet: with a lag, all that it may know of has to be over. */
  private nextNew(): number | undefined {
    const { state, lag } = this.plan;
    while (state.trials[this.next]) this.next++;
    if (this.asked()) return this.next;
    const place = state.placeOf(this.next);
    if (this.exhausted || place >= this.controls.trials) return undefined;
    if (lag === null) return this.next;
    for (
      let trial = state.trials[this.settled];
      trial && (trial.extension || trial.state !== 'running');
      trial = state.trials[this.settled]
    )
      this.settled++;
    return place - lag < state.placeOf(this.settled) ? this.next : undefined;
  }

  /** The first trial that is to go on with another and has not begun. */
  private asked(): { point: Point; extension: Extension } | undefined {
    const { state } = this.plan;
    for (const extension of this.controls.extensions) {
      const before = state.trials[extension.of];
      if (before?.state === 'done' && !state.hasExtension(extension)) return { point: before.point, extension };
    }
    return undefined;
  }

  private proposed(number: number): { point: Point; extension: undefined } | undefined {
    const { sampler, state, lag } = this.plan;
    const place = state.placeOf(number);
    const before = state.trials.slice(0, number);
    const history = place === number ? before : before.filter(({ extension }) => !extension);
    const seen =
      lag === null ? history : history.map((trial, index) => (index <= place - lag ? trial : withoutOutcome(trial)));
    const point = sampler.propose(place, seen, (each) => state.taken.has(each));
    return point && { point, extension: undefined };
  }

  private start(trial: Trial, shape: string): void {
    const stop = new AbortController();
    this.running.set(trial.number, { shape, stop });
    void this.runTrial(trial, shape, stop)
      .catch((error: unknown) => this.stopAll(error))
      .finally(() => {
        this.running.delete(trial.number);
        this.wake();
      });
  }

  private async runTrial(trial: Trial, shape: string, stop: AbortController): Promise<void> {
    const { runner } = this.plan;
    // Decided before it ended by itself, however narrowly: so that it does not hang on who was quicker.
    const cutShort = () => (stop.signal.reason instanceof CutShort ? stop.signal.reason : undefined);
    try {
      const result = await runner.run(trial.number, trial.point, {
        signal: stop.signal,
        onEpoch: (metrics, isLast) => this.onEpoch(trial, metrics, isLast, stop),
        onMemory: (bytes) => this.budget.measured(shape, bytes),
      });
      this.budget.measured(shape, result.peakRssBytes.trainer);
      if (!cutShort()) {
        await this.end({ event: 'end', trial: trial.number, state: 'done', result });
        return;
      }
    } catch (error) {
      if (!cutShort()) {
        if (this.ending || runner.endsSweep(error)) throw error;
        const reason = error instanceof Error ? error.message : String(error);
        return this.end({
          event: 'end',
          trial: trial.number,
          state: 'failed',
          reason,
          result: await runner.partial(trial),
        });
      }
    }
    await this.endShort(trial, cutShort()!.message);
  }

  private onEpoch(trial: Trial, metrics: EpochMetrics, isLast: boolean, stop: AbortController): void {
    const { epoch } = metrics;
    // Of a trial that goes on, the log may know the first epochs already: what the last of them means is decided once
    // more, for the sweep may have been killed before that was kept.
    if (epoch < trial.epochs || epoch > trial.epochs + 1 || stop.signal.aborted) return;
    if (epoch > trial.epochs) this.keepEpoch(trial, metrics);
    if (!isLast && !trial.extension && this.plan.pruner(trial.values, this.rivals(trial)))
      stop.abort(new CutShort(`pruned after epoch ${epoch}: others were better by then`));
  }

  private keepEpoch({ number }: Trial, { epoch, loss, val }: EpochMetrics): void {
    if (val) this.keep({ event: 'epoch', trial: number, epoch, loss, top1: val.top1, valLoss: val.loss });
  }

  /** The trials that one is held against; put together only where a pruner goes through them. */
  private rivals(own: Trial): Iterable<Trial> {
    const { state, lag } = this.plan;
    const last = lag === null ? Infinity : state.placeOf(own.number) - lag;
    const rivals = () =>
      state
        .known()
        .filter((trial) => trial !== own && !trial.extension && (lag === null || state.placeOf(trial.number) <= last));
    return { [Symbol.iterator]: () => rivals()[Symbol.iterator]() };
  }

  private async endShort(trial: Trial, reason: string): Promise<void> {
    const result = await this.plan.runner.partial(trial);
    await this.end({ event: 'end', trial: trial.number, state: 'pruned', reason, result });
  }

  private async end(end: TrialEnd): Promise<void> {
    await this.plan.runner.keepEnd(end);
    this.keep(end);
    if (end.state !== 'done') return;
    this.ready.push(this.plan.state.trials[end.trial]!);
    for (const { number } of this.ready.sort(byValue).splice(READY)) await this.plan.runner.settle(number);
  }

  private keep(event: SweepEvent): void {
    this.plan.state.apply(event);
    try {
      this.plan.keep(event);
    } catch (error) {
      this.stopAll(error);
    }
  }
}

/** A trial as it looks to one that may not know of it yet. */
function withoutOutcome({ number, point }: Trial): Observation {
  return { number, point, state: 'running', value: null, loss: null, epochs: 0 };
}

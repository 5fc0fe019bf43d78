import type { EpochMetrics } from '../training/run-folder.ts';
import type { Controls } from './controls.ts';
import { MemoryBudget, type Load } from './memory-budget.ts';
import { NextTrials, type Candidate } from './next-trials.ts';
import { byValue } from './observation.ts';
import type { Pruner } from './pruner.ts';
import type { Sampler } from './sampler.ts';
import type { SweepEvent, TrialEnd, TrialResult } from './sweep-events.ts';
import type { SweepState, Trial } from './sweep-state.ts';
import type { TrialRunner, TrialToRun } from './trial-runner.ts';

export interface Schedule {
  sampler: Sampler;
  pruner: Pruner;
  lag: number | null;
  memory: number | null;
  /** Trials that a process trains together, at most. */
  lanes: number;
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

/** A trial that is being trained. */
interface Running {
  trial: Trial;
  stop: AbortController;
}

/**
 * Runs trials until as many as were asked for have ended, in as many processes at a time as are wanted and memory has room
 * for. A process trains trials of a kind together: some are opened before it is their turn.
 */
export class Scheduler {
  private readonly running = new Map<number, Running>();
  private readonly workers = new Set<Load>();
  /** Trials that were opened to look for such as can be trained together, and could not. */
  private readonly waiting: Trial[] = [];
  private readonly budget: MemoryBudget;
  private readonly next: NextTrials;
  /** The best first. */
  private readonly ready: Trial[] = [];
  private controls: Controls;
  private ending: { error: unknown } | undefined;
  private wake: () => void = () => undefined;

  constructor(private readonly plan: Schedule) {
    this.controls = plan.controls;
    this.budget = new MemoryBudget(plan.memory);
    this.next = new NextTrials(plan);
    for (const trial of plan.state.known()) {
      const { result, point, state } = trial;
      const shape = plan.runner.shapeOf(point);
      if (result) this.budget.measured({ shape, lanes: plan.lanes }, result.peakRssBytes.trainer);
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
        if (this.workers.size === 0) break;
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

  /** @returns whether a process was started, or a trial found to be over */
  private async startNext(): Promise<boolean> {
    const { lanes, runner } = this.plan;
    const stopped = this.waiting.find(({ number }) => this.controls.stopped.includes(number));
    if (stopped) {
      this.waiting.splice(this.waiting.indexOf(stopped), 1);
      await this.endShort(stopped, BY_HAND);
      return true;
    }
    if (this.workers.size >= this.controls.parallel) return false;
    const candidate = this.waiting.length === 0 ? await this.next.candidate(this.controls) : undefined;
    const first = this.waiting[0] ?? candidate;
    if (!first) return false;
    const shape = runner.shapeOf(first.point);
    const room = candidate?.begun?.end ? 1 : this.roomFor(shape);
    if (room === 0) return false;
    if (candidate) {
      const opened = await this.open(candidate);
      if (!opened) return true;
      this.waiting.push(opened);
    }
    const lane = runner.laneOf(first.point);
    const alike = () => this.waiting.filter(({ point }) => runner.laneOf(point) === lane);
    // What is opened on the way and is of another kind waits for the next process, up to what all of them can take.
    while (alike().length < room && this.waiting.length < lanes * this.controls.parallel) {
      const next = await this.next.candidate(this.controls);
      if (!next) break;
      const trial = await this.open(next);
      if (trial) this.waiting.push(trial);
    }
    const together = alike().slice(0, room);
    for (const trial of together) this.waiting.splice(this.waiting.indexOf(trial), 1);
    this.start(together, { shape, lanes: together.length });
    return true;
  }

  /** How many trials of a shape a process may train: an even share of what is left, as far as memory goes; 0 for none. */
  private roomFor(shape: string): number {
    const left = this.running.size + this.waiting.length + this.next.left(this.controls);
    const share = Math.ceil(left / this.controls.parallel);
    let room = Math.max(1, Math.min(this.plan.lanes, share));
    while (room > 0 && !this.budget.fits({ shape, lanes: room }, [...this.workers])) room--;
    return room;
  }

  /** @returns the trial, unless it is found to be over */
  private async open(candidate: Candidate): Promise<Trial | undefined> {
    const { state, runner } = this.plan;
    const { number, point, extension, begun } = candidate;
    if (extension) await runner.extend(number, extension);
    if (this.next.take(candidate))
      this.keep({ event: 'trial', trial: number, point, ...(extension ? { extension } : {}) });
    const trial = state.trials[number]!;
    if (begun?.end) this.adopt(trial, begun.epochs, begun.end);
    else if (this.controls.stopped.includes(number)) await this.endShort(trial, BY_HAND);
    else return trial;
    return undefined;
  }

  /** Takes over a trial that has ended, with the epochs that the log has lost. */
  private adopt(trial: Trial, epochs: readonly EpochMetrics[], end: TrialEnd): void {
    for (const metrics of epochs.slice(trial.epochs, end.result?.epochs ?? 0)) this.keepEpoch(trial, metrics);
    this.keep(end);
  }

  private start(trials: readonly Trial[], load: Load): void {
    this.workers.add(load);
    const lanes = trials.map((trial): Running => ({ trial, stop: new AbortController() }));
    for (const lane of lanes) this.running.set(lane.trial.number, lane);
    const results = this.plan.runner.run(lanes.map((lane) => this.toRun(lane, load)));
    const ended = lanes.map((lane, index) =>
      this.untilEnd(lane, results[index]!, load)
        .catch((error: unknown) => this.stopAll(error))
        .finally(() => this.running.delete(lane.trial.number)),
    );
    void Promise.all(ended).then(() => {
      this.workers.delete(load);
      this.wake();
    });
  }

  private toRun({ trial, stop }: Running, load: Load): TrialToRun {
    return {
      trial: trial.number,
      point: trial.point,
      signal: stop.signal,
      onEpoch: (metrics, isLast) => this.onEpoch(trial, metrics, isLast, stop),
      onMemory: (bytes) => {
        this.budget.measured(load, bytes);
        // There may be room for one more.
        if (this.plan.memory !== null) this.wake();
      },
    };
  }

  private async untilEnd({ trial, stop }: Running, running: Promise<TrialResult>, load: Load): Promise<void> {
    const { runner } = this.plan;
    // Decided before it ended by itself, however narrowly: so that it does not hang on who was quicker.
    const cutShort = () => (stop.signal.reason instanceof CutShort ? stop.signal.reason : undefined);
    try {
      const result = await running;
      this.budget.measured(load, result.peakRssBytes.trainer);
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

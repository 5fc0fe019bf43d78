import type { EpochMetrics } from '../training/run-folder.ts';
import type { Point } from './space.ts';
import type { Extension, TrialEnd, TrialResult } from './sweep-events.ts';
import type { Trial } from './sweep-state.ts';

/** A trial to be run, and who looks on. */
export interface TrialToRun {
  trial: number;
  point: Point;
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
  /** Equal for trials that can be trained together, as lanes. */
  laneOf(point: Point): string;
  /**
   * Trains trials together. Each ends by itself.
   * @throws what a trial has failed with; whatever `endsSweep` when the sweep itself cannot go on
   */
  run(trials: readonly TrialToRun[]): Promise<TrialResult>[];
  /** The result of a trial that was cut short, as far as it came. */
  partial(trial: Readonly<Trial>): Promise<TrialResult | null>;
  /** Keeps how a trial has ended beside the log. */
  keepEnd(end: TrialEnd): Promise<void>;
  endsSweep(error: unknown): boolean;
}

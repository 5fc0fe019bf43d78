import type { Extension } from './sweep-events.ts';

/** What may be changed while a sweep runs. */
export interface Controls {
  /** Without those that go on with others. */
  trials: number;
  /** Processes that train at a time. */
  parallel: number;
  /** Trials to end by hand. */
  stopped: readonly number[];
  /** Whole trials to go on with. */
  extensions: readonly Extension[];
}

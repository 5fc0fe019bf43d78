import type { Controls } from './controls.ts';
import type { Observation } from './observation.ts';
import type { Sampler } from './sampler.ts';
import type { Point } from './space.ts';
import type { Extension } from './sweep-events.ts';
import type { SweepState, Trial } from './sweep-state.ts';
import type { BegunTrial, TrialRunner } from './trial-runner.ts';

/** A trial that may be opened. */
export interface Candidate {
  number: number;
  point: Point;
  extension: Extension | undefined;
  begun: BegunTrial | undefined;
}

interface Ground {
  sampler: Sampler;
  lag: number | null;
  state: SweepState;
  runner: Pick<TrialRunner, 'begun'>;
}

/**
 * Which trial comes next: those that were interrupted first, then those that go on with others, then what the sampler
 * proposes. What a trial sees of others is what has ended by then; with a lag, it is all up to a fixed number before its
 * own, whatever runs beside it. Of trials that go on with others it sees nothing: they are asked for at any time, and
 * change nothing for the rest.
 */
export class NextTrials {
  private readonly interrupted: Trial[];
  /** The number of the next new trial. */
  private next = 0;
  /** Trials below this number have ended. */
  private settled = 0;
  private exhausted = false;

  constructor(private readonly ground: Ground) {
    this.interrupted = ground.state.known().filter(({ state }) => state === 'running');
  }

  /** Undefined where none is left, or it may not be proposed yet. It stays the next one until it is taken. */
  async candidate(controls: Controls): Promise<Candidate | undefined> {
    const { state, runner } = this.ground;
    const number = this.interrupted[0]?.number ?? this.nextNew(controls);
    if (number === undefined) return undefined;
    const begun = await runner.begun(number);
    const made = state.trials[number] ?? begun ?? this.asked(controls) ?? this.proposed(number);
    if (!made) this.exhausted = true;
    return made && { number, point: made.point, extension: made.extension ?? undefined, begun };
  }

  /** @returns whether the trial is a new one, that the sweep does not know of */
  take({ number }: Candidate): boolean {
    if (this.interrupted[0]?.number !== number) return true;
    this.interrupted.shift();
    return false;
  }

  /** How many may be to come, as far as it is known. */
  left({ trials, extensions }: Controls): number {
    const { state } = this.ground;
    return (
      this.interrupted.length +
      Math.max(0, trials - state.placeOf(this.firstNew())) +
      extensions.filter((each) => !state.hasExtension(each)).length
    );
  }

  private firstNew(): number {
    while (this.ground.state.trials[this.next]) this.next++;
    return this.next;
  }

  /** Undefined where none is wanted, or it may not be proposed yet: with a lag, all that it may know of has to be over. */
  private nextNew(controls: Controls): number | undefined {
    const { state, lag } = this.ground;
    const next = this.firstNew();
    if (this.asked(controls)) return next;
    const place = state.placeOf(next);
    if (this.exhausted || place >= controls.trials) return undefined;
    if (lag === null) return next;
    for (
      let trial = state.trials[this.settled];
      trial && (trial.extension || trial.state !== 'running');
      trial = state.trials[this.settled]
    )
      this.settled++;
    return place - lag < state.placeOf(this.settled) ? next : undefined;
  }

  /** The first trial that is to go on with another and has not begun. */
  private asked({ extensions }: Controls): { point: Point; extension: Extension } | undefined {
    const { state } = this.ground;
    for (const extension of extensions) {
      const before = state.trials[extension.of];
      if (before?.state === 'done' && !state.hasExtension(extension)) return { point: before.point, extension };
    }
    return undefined;
  }

  private proposed(number: number): { point: Point; extension: undefined } | undefined {
    const { sampler, state, lag } = this.ground;
    const place = state.placeOf(number);
    const before = state.trials.slice(0, number);
    const history = place === number ? before : before.filter(({ extension }) => !extension);
    const seen =
      lag === null ? history : history.map((trial, index) => (index <= place - lag ? trial : withoutOutcome(trial)));
    const point = sampler.propose(place, seen, (each) => state.taken.has(each));
    return point && { point, extension: undefined };
  }
}

/** A trial as it looks to one that may not know of it yet. */
function withoutOutcome({ number, point }: Trial): Observation {
  return { number, point, state: 'running', value: null, loss: null, epochs: 0 };
}

import type { Curve } from './pruner.ts';
import { byValue, type Observation } from './observation.ts';
import type { EpochEvent, Extension, SweepEvent, TrialResult } from './sweep-events.ts';
import { TakenPoints } from './sampler.ts';
import type { Point, Space } from './space.ts';

/** A trial as far as it has come: what samplers, pruners and tables look at. */
export interface Trial extends Observation, Curve {
  point: Point;
  /** Where it goes on with another. */
  extension: Extension | null;
  /** Top-1 on val, an epoch each. */
  values: number[];
  /** On train, an epoch each. */
  losses: number[];
  bestEpoch: number | null;
  reason: string | null;
  result: TrialResult | null;
}

/** Where a sweep stands: what its events, one after the other, have made of it. */
export class SweepState {
  readonly trials: Trial[] = [];
  readonly taken: TakenPoints;
  readonly spent = { extract: 0, total: 0 };
  retraining: string | undefined;
  /** Set once all is done, and as long as no trial is added. */
  closed: Extract<SweepEvent, { event: 'closed' }> | undefined;

  private count = 0;
  /** Numbers of trials that go on with others. */
  private readonly extensions: number[] = [];

  constructor(space: Space) {
    this.taken = new TakenPoints(space);
  }

  /** Events of trials that are not known, whose own line was lost, are left out; so is whatever follows a trial's end. */
  apply(event: SweepEvent): void {
    switch (event.event) {
      case 'sweep':
        break;
      case 'trial':
        if (!this.trials[event.trial]) this.add(event.trial, event.point, event.extension ?? null);
        break;
      case 'epoch':
        this.addEpoch(event);
        break;
      case 'end': {
        const trial = this.trials[event.trial];
        if (trial?.state !== 'running') break;
        trial.state = event.state;
        trial.reason = event.reason ?? null;
        trial.result = event.result;
        break;
      }
      case 'spent':
        this.spent.extract += event.extract;
        this.spent.total += event.total;
        break;
      case 'retraining':
        this.retraining = event.run;
        break;
      case 'closed':
        this.closed = event;
        break;
    }
  }

  /** Trials that have ended, the best first: whole ones before pruned ones, failed ones last. */
  ranked(): Trial[] {
    const order = { done: 0, running: 1, pruned: 2, failed: 3 } as const;
    return [...this.known()].sort((a, b) => order[a.state] - order[b.state] || byValue(a, b));
  }

  /** The best of the whole ones. */
  best(): Trial | undefined {
    let best: Trial | undefined;
    for (const trial of this.known()) if (trial.state === 'done' && (!best || byValue(trial, best) < 0)) best = trial;
    return best;
  }

  /** By number; numbers whose line was lost are left out. Not to be changed. */
  known(): readonly Trial[] {
    // Without holes, as nearly always, there is nothing to skip, and nothing is copied.
    return this.trials.length === this.count ? this.trials : this.trials.flat();
  }

  /** Which of the sampler's trials one is, from 0: those that go on with others are none of them. */
  placeOf(number: number): number {
    if (this.extensions.length === 0) return number;
    return number - this.extensions.filter((extension) => extension < number).length;
  }

  hasExtension({ of, by }: Extension): boolean {
    return this.extensions.some((number) => {
      const { extension } = this.trials[number]!;
      return extension?.of === of && extension.by === by;
    });
  }

  /** Whether trials are wanted that it does not have. */
  lacks({ trials, extensions }: { trials: number; extensions: readonly Extension[] }): boolean {
    return this.count - this.extensions.length < trials || extensions.some((each) => !this.hasExtension(each));
  }

  /** Epochs after which the learning rate of a trial climbed anew: those of the trials that it goes on with. */
  restartsOf({ extension }: Pick<Trial, 'extension'>): number[] {
    const before = extension && this.trials[extension.of];
    return before ? [...this.restartsOf(before), before.result?.epochs ?? before.epochs] : [];
  }

  private add(number: number, point: Point, extension: Extension | null): void {
    this.closed = undefined;
    this.retraining = undefined;
    this.taken.add(point);
    this.count++;
    if (extension) this.extensions.push(number);
    this.trials[number] = {
      number,
      point,
      extension,
      state: 'running',
      value: null,
      loss: null,
      epochs: 0,
      values: [],
      losses: [],
      bestEpoch: null,
      reason: null,
      result: null,
    };
  }

  private addEpoch({ trial: number, epoch, loss, top1, valLoss }: EpochEvent): void {
    const trial = this.trials[number];
    // Said once already, or one before it was lost and comes from the trial's own file.
    if (trial?.state !== 'running' || epoch !== trial.epochs + 1) return;
    trial.epochs = epoch;
    trial.values.push(top1);
    trial.losses.push(loss);
    if (trial.value !== null && top1 <= trial.value) return;
    trial.value = top1;
    trial.loss = valLoss;
    trial.bestEpoch = epoch;
  }
}

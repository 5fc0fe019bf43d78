/** A run as it goes on: what was read of it, and the epochs and the pace that are told since. */
import type { ReplyOf } from '../../src-main/studio/service/calls.ts';
import { thinned } from '../charts/thinning.ts';
import { library, type PaceEvent } from './library.svelte.ts';
import { studio } from './studio.svelte.ts';
import { attempt } from './toasts.svelte.ts';

export type ShownRun = ReplyOf<'runs.show'>;
export type Epoch = ShownRun['epochs'][number];

/** More points of the pace than a chart has pixels are of no use. */
const MOST_PACE = 1000;
/** What comes in faster is shown together. */
const SHOW_EVERY_MS = 250;

export class LiveRun {
  shown = $state.raw<ShownRun | null>(null);
  epochs = $state.raw<readonly Epoch[]>([]);
  /** Of this window's lifetime. */
  pace = $state.raw<readonly PaceEvent[]>([]);
  private readonly heardEpochs = new Map<number, Epoch>();
  private heardPace: PaceEvent[] = [];
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(readonly run: string) {}

  /** Reads the run anew; what was heard meanwhile stays. */
  async read(): Promise<void> {
    await attempt(async () => {
      const shown = await studio.call('runs.show', { run: this.run });
      this.shown = shown;
      for (const epoch of shown.epochs) this.keep(epoch);
      this.show();
    });
  }

  /** @returns how to stop */
  listen(): () => void {
    const stops = [
      library.onEpoch((event) => {
        if (event.run !== this.run) return;
        this.keep(event.metrics);
        this.showSoon();
      }),
      library.onPace((event) => {
        if (event.run !== this.run) return;
        this.heardPace.push(event);
        if (this.heardPace.length > MOST_PACE) this.heardPace = thinned(this.heardPace);
        this.showSoon();
      }),
    ];
    return () => {
      for (const stop of stops) stop();
      clearTimeout(this.timer);
      this.timer = undefined;
    };
  }

  private keep(epoch: Epoch): void {
    this.heardEpochs.set(epoch.epoch, epoch);
  }

  private showSoon(): void {
    this.timer ??= setTimeout(() => this.show(), SHOW_EVERY_MS);
  }

  private show(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    this.epochs = [...this.heardEpochs.values()].sort((a, b) => a.epoch - b.epoch);
    this.pace = [...this.heardPace];
  }
}

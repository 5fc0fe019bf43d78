/** A sweep that is being looked at: read once, then brought up to date by the lines of its log as they come. */
import { takeLine, type ShownSweep, type SweepLine, type Trial } from '../sweeps/trials.ts';
import { studio } from './studio.svelte.ts';
import { attempt } from './toasts.svelte.ts';

/** What has come in is shown a few times a second, however much it is; of more trials less often. */
const REDRAW_MS = 250;
const REDRAW_MS_OF_A_TRIAL = 0.75;

export class SweepPage {
  shown = $state.raw<ShownSweep | null>(null);
  /** By number. */
  trials = $state.raw<Trial[]>([]);
  private readonly kept = new Map<number, Trial>();
  private due: ReturnType<typeof setTimeout> | undefined;
  /** Lines that came while the sweep was being read: the answer may not have them yet. */
  private meanwhile: SweepLine[] | null = null;

  constructor(readonly sweep: string) {}

  async read(): Promise<void> {
    const lines: SweepLine[] = [];
    this.meanwhile = lines;
    await attempt(async () => {
      const answer = await studio.call('sweeps.show', { sweep: this.sweep });
      // Asked again since: that answer is the newer one.
      if (this.meanwhile !== lines) return;
      this.meanwhile = null;
      this.shown = answer;
      this.kept.clear();
      for (const trial of answer.all) this.kept.set(trial.number, trial);
      for (const line of lines) takeLine(this.kept, line);
      this.trials = [...this.kept.values()];
    });
  }

  take(line: SweepLine): void {
    this.meanwhile?.push(line);
    if (takeLine(this.kept, line))
      this.due ??= setTimeout(
        () => {
          this.due = undefined;
          this.trials = [...this.kept.values()];
        },
        REDRAW_MS + REDRAW_MS_OF_A_TRIAL * this.kept.size,
      );
    // What is derived of all trials, and what becomes of the winner, the studio knows.
    if (line.event === 'closed') void this.read();
  }

  close(): void {
    clearTimeout(this.due);
  }
}

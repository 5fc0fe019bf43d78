/** How far a task is, on stderr: one line that is rewritten on a terminal, now and then a line of its own elsewhere. */
import type { Progress } from '../base/progress.ts';
import { duration, grouped, percent } from './format.ts';

/** What is known of an epoch of training. */
export interface EpochReport {
  epoch: number;
  loss: number;
  val: { top1: number } | null;
}

/** Where lines go: process.stderr, or a test's stand-in. */
export interface ProgressStream {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

const REWRITE_MS = 100;
const LINE_MS = 5000;

interface Pace {
  task: string;
  startedAt: number;
  /** Units done at the first report: they took no time that we saw. */
  startedWith: number;
  done: number;
  total: number;
  unit: string;
}

export class ProgressPrinter {
  private pace: Pace | undefined;
  private lastEpoch = '';
  /** Best of the run's epochs, with where it was. */
  private best: { epoch: number; top1: number } | undefined;
  /** The newest line that was held back. */
  private pending = '';
  private shown = false;
  private printedAt: number;

  constructor(
    private readonly stream: ProgressStream,
    private readonly now: () => number = () => performance.now(),
  ) {
    // Into a file, what is done in a moment is said once, at its end.
    this.printedAt = stream.isTTY ? -Infinity : now();
  }

  /** One report of a task; the first one of a task starts its clock. */
  report({ task, done, total, unit }: Progress): void {
    if (this.pace?.task !== task || done < this.pace.done) {
      this.finish();
      this.lastEpoch = '';
      this.pace = { task, startedAt: this.now(), startedWith: Math.max(0, done - 1), done, total, unit };
    }
    this.pace.done = done;
    if (this.lastEpoch === '')
      this.show(`${task}: ${grouped(done)}/${grouped(total)} ${unit}${this.tail()}`, done >= total);
    // The epoch that is about to be reported ends the task's lines too.
    else if (done < total) this.show(`${this.lastEpoch}${this.tail()}`, false);
  }

  /** One epoch of `epochs` is done. Until the next, the task's reports go on with its line. */
  epoch(report: EpochReport, epochs: number): void {
    const { epoch, loss, val } = report;
    if (epoch === 1) this.best = undefined;
    this.compare(report);
    const better = this.best && val && this.best.top1 > val.top1 ? this.best : undefined;
    const best = better ? ` (best ${percent(better.top1)}, epoch ${better.epoch})` : '';
    this.lastEpoch = `epoch ${epoch}/${epochs}: loss ${loss.toFixed(4)}, val top-1 ${percent(val?.top1)}${best}`;
    const last = epoch >= epochs;
    this.show(`${this.lastEpoch}${this.tail()}`, last);
    if (last) this.lastEpoch = '';
  }

  /** The next epoch reported is of a run that these were done of before. */
  goesOn(before: readonly EpochReport[]): void {
    this.best = undefined;
    for (const report of before) this.compare(report);
  }

  private compare({ epoch, val }: EpochReport): void {
    if (val && !(this.best && this.best.top1 >= val.top1)) this.best = { epoch, top1: val.top1 };
  }

  /** Rate and time left of the task, as far as they are known. */
  private tail(): string {
    if (this.pace === undefined) return '';
    const { startedAt, startedWith, done, total, unit } = this.pace;
    const seconds = (this.now() - startedAt) / 1000;
    if (seconds <= 0.2) return '';
    const rate = (done - startedWith) / seconds;
    const speed = `, ${rate >= 10 ? grouped(Math.round(rate)) : rate.toFixed(1)} ${unit}/s`;
    return done < total ? `${speed}, ${duration((total - done) / rate)} left` : speed;
  }

  /** Leaves the cursor at the start of a line, so that other text may follow; the task may go on. */
  finish(): void {
    if (this.stream.isTTY) {
      if (this.pending !== '') this.rewrite(this.pending);
      if (this.shown) this.stream.write('\n');
      this.shown = false;
    }
    this.pending = '';
  }

  private show(line: string, last: boolean): void {
    const due = this.now() - this.printedAt >= (this.stream.isTTY ? REWRITE_MS : LINE_MS);
    if (!due && !last) {
      this.pending = line;
      return;
    }
    this.pending = '';
    this.printedAt = this.now();
    if (!this.stream.isTTY) this.stream.write(`${line}\n`);
    else {
      this.rewrite(line);
      if (last) this.finish();
    }
  }

  private rewrite(line: string): void {
    const room = Math.max(20, (this.stream.columns ?? 80) - 1);
    this.stream.write(`\r\u001b[2K${line.length > room ? `${line.slice(0, room - 1)}…` : line}`);
    this.shown = true;
  }
}

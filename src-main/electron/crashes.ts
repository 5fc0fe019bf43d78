/** Crashes so soon after each other that opening the window once more would not help. */
const MOST = 3;
const WITHIN_MS = 60_000;

/** Counts the window's crashes. */
export class Crashes {
  private times: number[] = [];

  /** @returns whether to open the window again without asking, at `now` in ms */
  reopens(now: number): boolean {
    this.times = [...this.times.filter((time) => now - time < WITHIN_MS), now];
    return this.times.length <= MOST;
  }
}

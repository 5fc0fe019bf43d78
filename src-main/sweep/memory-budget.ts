/** A process that trains: what takes memory. */
export interface Load {
  /** Equal for trials that take alike. */
  shape: string;
  /** Trials that it trains together. */
  lanes: number;
}

interface Measured {
  lanes: number;
  bytes: number;
}

/** What processes take, measured, and whether one more fits under the budget. */
export class MemoryBudget {
  private readonly byShape = new Map<string, Measured[]>();
  private largest: Measured | undefined;

  /** @param budget bytes; null for no bound */
  constructor(private readonly budget: number | null) {}

  /** @param bytes resident, so far or at its peak */
  measured({ shape, lanes }: Load, bytes: number): void {
    const known = this.byShape.get(shape) ?? [];
    this.byShape.set(shape, known);
    const same = known.find((each) => each.lanes === lanes);
    if (same) same.bytes = Math.max(bytes, same.bytes);
    else known.push({ lanes, bytes });
    if (!this.largest || bytes > this.largest.bytes) this.largest = { lanes, bytes };
  }

  /**
   * Whether a process may start beside those that run: by what those of its shape have taken, else by what the largest
   * has. Before anything was measured, and where it is too large for the budget by itself, it runs alone, with one trial.
   */
  fits(load: Load, running: readonly Load[]): boolean {
    if (this.budget === null || (running.length === 0 && load.lanes === 1)) return true;
    if (!this.largest) return false;
    return [load, ...running].reduce((sum, each) => sum + this.expected(each), 0) <= this.budget;
  }

  /** Of as many lanes as were measured, that; of fewer, no more; of more, at worst as if each was a process. */
  private expected({ shape, lanes }: Load): number {
    const estimates = (this.byShape.get(shape) ?? [this.largest!]).map((known) =>
      known.lanes >= lanes ? known : { lanes, bytes: (known.bytes * lanes) / known.lanes },
    );
    const nearest = Math.min(...estimates.map((each) => each.lanes));
    return Math.min(...estimates.filter((each) => each.lanes === nearest).map(({ bytes }) => bytes));
  }
}

/** What trials take, measured, and whether one more fits under the budget. */
export class MemoryBudget {
  private readonly byShape = new Map<string, number>();
  private largest = 0;

  /** @param budget bytes; null for no bound */
  constructor(private readonly budget: number | null) {}

  /** @param shape equal for trials that take alike @param bytes resident, so far or at its peak */
  measured(shape: string, bytes: number): void {
    this.byShape.set(shape, Math.max(bytes, this.byShape.get(shape) ?? 0));
    this.largest = Math.max(bytes, this.largest);
  }

  /**
   * Whether a trial may start beside those that run: by what trials of its shape have taken, else by what the largest
   * has. Before anything was measured, and where it is too large for the budget by itself, it runs alone.
   */
  fits(shape: string, running: readonly string[]): boolean {
    if (this.budget === null || running.length === 0) return true;
    if (this.largest === 0) return false;
    return [shape, ...running].reduce((sum, each) => sum + (this.byShape.get(each) ?? this.largest), 0) <= this.budget;
  }
}

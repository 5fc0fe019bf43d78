/** Share of a run's steps in which the learning rate climbs. */
export const WARM_UP = 0.1;

/** Learning rates of the side network and of the head. */
export interface Rates {
  side: number;
  head: number;
}

/**
 * Share of the peak learning rate at a step: a linear climb over the first `warmUp` steps, then half a cosine down to
 * 0 (Loshchilov and Hutter, arXiv 1608.03983, without restarts).
 * @param step from 0
 * @param steps in all
 */
export function scheduleFactor(step: number, steps: number, warmUp: number): number {
  if (step < warmUp) return (step + 1) / warmUp;
  const progress = (step - warmUp) / Math.max(1, steps - warmUp);
  return 0.5 * (1 + Math.cos(Math.PI * progress));
}

/**
 * The rates of every step of a run, from those at the peak. At each restart the schedule begins anew, for as many steps
 * as there are to the next one or to the end: the warm restarts of the same paper.
 * @param restarts steps, rising
 */
export function scheduledRates(peak: Rates, steps: number, restarts: readonly number[] = []): (step: number) => Rates {
  const ends = [...restarts, steps];
  return (step) => {
    const cycle = ends.findIndex((end) => step < end);
    const start = ends[cycle - 1] ?? 0;
    const length = (ends[cycle] ?? steps) - start;
    const factor = scheduleFactor(step - start, length, Math.max(1, Math.round(WARM_UP * length)));
    return { side: peak.side * factor, head: peak.head * factor };
  };
}

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

/** The rates of every step of a run, from those at the peak. */
export function scheduledRates(peak: Rates, steps: number): (step: number) => Rates {
  const warmUp = Math.max(1, Math.round(WARM_UP * steps));
  return (step) => {
    const factor = scheduleFactor(step, steps, warmUp);
    return { side: peak.side * factor, head: peak.head * factor };
  };
}

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

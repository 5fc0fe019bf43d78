export const PRUNERS = ['none', 'median', 'asha'] as const;
export type PrunerKind = (typeof PRUNERS)[number];

/** How a trial went: top-1 on val after each of its epochs. */
export interface Curve {
  state: 'running' | 'done' | 'pruned' | 'failed';
  values: readonly number[];
}

/** Whether a trial should end after the epoch it has just done. @param others all trials it may be held against */
export type Pruner = (own: readonly number[], others: Iterable<Curve>) => boolean;

/** Of each rung's trials one in so many goes on. */
const REDUCTION = 3;
/** Finished trials before a median means something. */
const MEDIAN_START_UP = 5;

/** Pure. @param epochs of the longest trial */
export function prunerOf(kind: PrunerKind, epochs: number): Pruner {
  switch (kind) {
    case 'none':
      return () => false;
    case 'median':
      return medianPruner(epochs);
    case 'asha':
      return ashaPruner(epochs);
  }
}

/**
 * The median stopping rule (Golovin et al. 2017, Google Vizier, in Optuna's form): a trial ends whose best so far is
 * below the median of what whole trials had at that epoch. The first ninth of the epochs is spared.
 */
function medianPruner(epochs: number): Pruner {
  const spared = Math.ceil(epochs / REDUCTION ** 2);
  return (own, others) => {
    const epoch = own.length;
    if (epoch < spared) return false;
    const rivals: number[] = [];
    for (const { state, values } of others)
      if (state === 'done' && values.length >= epoch) rivals.push(values[epoch - 1]!);
    return rivals.length >= MEDIAN_START_UP && bestOf(own, epoch) < median(rivals);
  };
}

/**
 * Asynchronous successive halving (Li et al. 2020, A System for Massively Parallel Hyperparameter Tuning), stopping
 * rather than pausing: at each rung a trial goes on if it is among the best third of those that have come there. Before
 * three have, it has to be the best (as Optuna has it).
 */
function ashaPruner(epochs: number): Pruner {
  const atRung = new Set(rungs(epochs));
  return (own, others) => {
    const epoch = own.length;
    if (!atRung.has(epoch)) return false;
    const value = bestOf(own, epoch);
    let count = 1;
    let better = 0;
    for (const { values } of others) {
      if (values.length < epoch) continue;
      count++;
      if (bestOf(values, epoch) > value) better++;
    }
    return better >= Math.max(1, Math.floor(count / REDUCTION));
  };
}

/** Epochs at which ASHA decides: a ninth and a third of the longest trial's; none of a trial of a single epoch. */
export function rungs(epochs: number): number[] {
  const all = [REDUCTION ** 2, REDUCTION].map((share) => Math.ceil(epochs / share));
  return [...new Set(all)].filter((rung) => rung < epochs);
}

function bestOf(values: readonly number[], epochs: number): number {
  let best = -Infinity;
  for (let epoch = 0; epoch < epochs; epoch++) if (values[epoch]! > best) best = values[epoch]!;
  return best;
}

function median(values: number[]): number {
  values.sort((a, b) => a - b);
  const middle = values.length >> 1;
  return values.length % 2 === 1 ? values[middle]! : (values[middle - 1]! + values[middle]!) / 2;
}

import type { Observation } from '../../../src-main/sweep/observation.ts';
import { samplerOf, TakenPoints, type SamplerKind } from '../../../src-main/sweep/sampler.ts';
import type { TestFunction } from './functions.ts';

/** How far from the least value a sampler comes in so many trials, one after the other. */
export function regretOf(kind: SamplerKind, { space, least, at }: TestFunction, trials: number, seed: number): number {
  const sampler = samplerOf(kind, space, seed);
  const history: Observation[] = [];
  const taken = new TakenPoints(space);
  let best = Infinity;
  for (let number = 0; number < trials; number++) {
    const point = sampler.propose(number, history, (each) => taken.has(each))!;
    taken.add(point);
    const value = at(space.map(({ name }) => Number(point[name])));
    best = Math.min(best, value);
    history.push({ number, point, state: 'done', value: -value, loss: 0, epochs: 1 });
  }
  return best - least;
}

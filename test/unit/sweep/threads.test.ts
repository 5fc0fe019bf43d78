import { expect, it } from 'vitest';
import { threadsFor } from '../../../src-main/studio/sweeps/plan-sweep.ts';

it('one thread for each trial while there is a trial for every core, else an even share that no number of workers exceeds', () => {
  expect(threadsFor(20, 8)).toBe(1);
  expect(threadsFor(8, 8)).toBe(1);
  expect(threadsFor(1, 8)).toBe(8);
  for (let trials = 1; trials < 8; trials++) expect(trials * threadsFor(trials, 8)).toBeLessThanOrEqual(8);
  expect(threadsFor(3, 8)).toBe(2);
});

import { expect, it } from 'vitest';
import { scheduledRates } from '../../../src-main/training/schedule.ts';

it('begins the schedule anew at each restart, for as long as there is to the next', () => {
  const peak = { side: 1, head: 0.5 };
  const long = scheduledRates(peak, 80, [50]);
  const [first, second] = [scheduledRates(peak, 50), scheduledRates(peak, 30)];
  for (let step = 0; step < 80; step++) expect(long(step)).toEqual(step < 50 ? first(step) : second(step - 50));
});

import { describe, expect, it } from 'vitest';
import { sparkline } from '../../../src-main/cli/sparkline.ts';

describe('a sparkline', () => {
  it.each([
    [[0, 1, 2, 3, 4, 5, 6, 7], '▁▂▃▄▅▆▇█'],
    [[3, 3, 3], '▁▁▁'],
    [[2, NaN, 1], '█ ▁'],
    [[], ''],
  ])('of %j', (values, drawn) => expect(sparkline(values)).toBe(drawn));

  it('shows a long series by means of equal stretches', () => {
    expect(sparkline([0, 2, 1, 1, 5, 7, 10, 4], 4)).toBe('▁▁▇█');
    const long = sparkline(Array.from({ length: 1000 }, (_, index) => index));
    expect(Array.from(long)).toHaveLength(60);
    expect(long).toMatch(/^▁+▂+▃+▄+▅+▆+▇+█+$/);
  });
});

import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { checkFlags, realNumber, threeNumbers, wholeNumber } from '../../../src-main/cli/flags.ts';

const schema = z.object({
  rank: wholeNumber('--rank', { min: 1 }).optional(),
  port: wholeNumber('--port', { min: 0, max: 65535 }).optional(),
  lr: realNumber('--lr', { above: 0 }).optional(),
  dropPath: realNumber('--drop-path', { min: 0, below: 1 }).optional(),
  mean: threeNumbers('--mean').optional(),
  std: threeNumbers('--std', { above: 0 }).optional(),
  classWeights: z.enum(['none', 'balanced']).optional(),
  test: z.boolean().optional(),
});

describe('flags', () => {
  it('reads numbers as people write them', () => {
    const typed = { rank: '8', port: '0', lr: '3e-3', dropPath: '.1', mean: '0.5, 0.5,-1', std: '1,2,3' };
    expect(checkFlags(schema, typed)).toEqual({
      rank: 8,
      port: 0,
      lr: 0.003,
      dropPath: 0.1,
      mean: [0.5, 0.5, -1],
      std: [1, 2, 3],
    });
    expect(checkFlags(schema, {})).toEqual({});
  });

  it.each([
    [{ rank: '0' }, '--rank takes a whole number of at least 1, not "0".'],
    [{ rank: '2.5' }, '--rank takes a whole number of at least 1, not "2.5".'],
    [{ rank: '' }, '--rank takes a whole number of at least 1, not "".'],
    [{ rank: '0x10' }, '--rank takes a whole number of at least 1, not "0x10".'],
    [{ rank: '1e400' }, '--rank takes a whole number of at least 1, not "1e400".'],
    [{ port: '70000' }, '--port takes a whole number from 0 to 65535, not "70000".'],
    [{ lr: '0' }, '--lr takes a number above 0, not "0".'],
    [{ lr: 'Infinity' }, '--lr takes a number above 0, not "Infinity".'],
    [{ dropPath: '1' }, '--drop-path takes a number of at least 0 and below 1, not "1".'],
    [{ mean: '0.5,0.5' }, '--mean takes three numbers between commas, such as 0.5,0.5,0.5, not "0.5,0.5".'],
    [{ std: '1,0,1' }, '--std takes three numbers above 0 between commas, such as 0.5,0.5,0.5, not "1,0,1".'],
    [{ classWeights: 'some' }, '--class-weights takes none, or balanced.'],
    [{ test: 'no' }, '--test takes something else (see --help).'],
  ])('refuses %j with a sentence that names the flag', (typed, message) => {
    expect(() => checkFlags(schema, typed)).toThrow(expect.objectContaining({ code: 'usage', message }));
  });
});

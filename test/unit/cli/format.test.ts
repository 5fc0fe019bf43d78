import { describe, expect, it } from 'vitest';
import { byteSize, counted, duration, grouped, milliseconds, percent, table } from '../../../src-main/cli/format.ts';

describe('numbers for people', () => {
  it.each([
    [0.9312, '93.1 %'],
    [1, '100.0 %'],
    [null, '-'],
  ])('percent(%s) is %s', (fraction, words) => expect(percent(fraction)).toBe(words));

  it.each([
    [0.04, '0.0 s'],
    [9.94, '9.9 s'],
    [9.96, '10 s'],
    [59.6, '1 min 0 s'],
    [83, '1 min 23 s'],
    [3599.7, '1 h 0 min'],
    [7260, '2 h 1 min'],
    [Infinity, '-'],
    [null, '-'],
  ])('duration(%s) is %s', (seconds, words) => expect(duration(seconds)).toBe(words));

  it.each([
    [0.00004, '0.0 ms'],
    [0.0042, '4.2 ms'],
    [0.7314, '731 ms'],
    [0.9996, '1.0 s'],
    [83, '1 min 23 s'],
  ])('milliseconds(%s) is %s', (seconds, words) => expect(milliseconds(seconds)).toBe(words));

  it.each([
    [0, '0 B'],
    [999, '999 B'],
    [999.6, '1.0 kB'],
    [3_600_000, '3.6 MB'],
    [512e6, '512 MB'],
    [99.96e6, '100 MB'],
    [2.5e15, '2500 TB'],
  ])('byteSize(%s) is %s', (bytes, words) => expect(byteSize(bytes)).toBe(words));

  it('groups digits and counts', () => {
    expect(grouped(1234567)).toBe('1,234,567');
    expect([counted(1, 'class', 'classes'), counted(2, 'class', 'classes'), counted(0, 'image')]).toEqual([
      '1 class',
      '2 classes',
      '0 images',
    ]);
  });
});

describe('table', () => {
  it('aligns text left and numbers right, and leaves no blanks at the end', () => {
    const text = table(
      ['NAME', 'COUNT>', 'NOTE'],
      [
        ['a', '1', ''],
        ['naïve', '1,000', 'x'],
      ],
    );
    expect(text.split('\n')).toEqual(['NAME   COUNT  NOTE', 'a          1', 'naïve  1,000  x']);
  });
});

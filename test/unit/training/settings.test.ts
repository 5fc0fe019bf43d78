import { describe, expect, it } from 'vitest';
import { scheduleFactor } from '../../../src-main/training/schedule.ts';
import { checkChoice, completeSettings } from '../../../src-main/training/settings.ts';
import { classWeights } from '../../../src-main/training/class-weights.ts';

const backbone = { name: 'vit', blocks: 12, width: 192, prefix: 1 };

describe('rank', () => {
  it('may not be beyond the width', () => {
    expect(completeSettings({ method: 'last', rank: 192 }, backbone).rank).toBe(192);
    expect(() => completeSettings({ method: 'last', rank: 193 }, backbone)).toThrow(/Rank 193 is beyond the width 192/);
  });
});

describe('defaults', () => {
  it('are those of the design', () => {
    expect(completeSettings({ method: 'last' }, backbone)).toMatchObject({
      rank: 8,
      depth: 1,
      group: 1,
      upto: null,
      pool: 'cls',
      learningRate: 1e-3,
      headLearningRate: 1e-3,
      epochs: 30,
      batch: 32,
      weightDecay: 0.05,
    });
    expect(completeSettings({ method: 'miet' }, backbone)).toMatchObject({
      rank: 16,
      depth: 4,
      group: null,
      upto: 8,
      pool: 'mean',
      learningRate: 3e-3,
    });
    expect(completeSettings({ method: 'linear' }, backbone)).toMatchObject({
      rank: null,
      depth: null,
      upto: null,
      pool: 'cls',
      learningRate: 1e-3,
      epochs: 100,
    });
  });

  it('take the patch mean where there is no CLS token', () => {
    expect(completeSettings({ method: 'last' }, { ...backbone, prefix: 0 }).pool).toBe('mean');
    expect(() => completeSettings({ method: 'last', pool: 'cls' }, { ...backbone, prefix: 0 })).toThrow(
      'has no CLS token: use --pool mean',
    );
  });

  it('give the head a tenth of the rate after a warm start', () => {
    expect(
      completeSettings({ method: 'last', warmStart: 'linear', learningRate: 3e-3 }, backbone).headLearningRate,
    ).toBeCloseTo(3e-4, 12);
  });
});

it.each([
  [{ method: 'linear', rank: 8 }, '--rank does not apply to linear'],
  [{ method: 'miet', warmStart: 'linear' }, '--warm-start does not apply to miet'],
  [{ method: 'last', upto: 8 }, '--upto does not apply to last'],
  [{ method: 'last', group: 5 }, 'Group 5 does not divide the 12 blocks'],
  [{ method: 'miet', upto: 13 }, '--upto 13 is beyond the 12 blocks'],
  [{ method: 'last', dropPath: 1 }, 'The setting dropPath is out of bounds'],
  [{ method: 'miet', depth: 100_000 }, 'The setting depth is out of bounds'],
] as const)('refuses %o', (choice, sentence) => {
  expect(() => completeSettings(choice, backbone)).toThrow(sentence);
});

describe('settings as they are typed', () => {
  it('are each told what is wrong with them, and the others are completed', () => {
    const typed = { method: 'last', rank: 2.5, epochs: 0, group: 5, dropPath: 1, seed: 'x', batch: 8 } as const;
    const { problems, settings } = checkChoice(typed, backbone);
    expect(problems).toEqual({
      rank: 'Use a whole number.',
      epochs: 'Use at least 1.',
      dropPath: 'Use less than 1.',
      seed: 'Use a number.',
      group: expect.stringContaining('Group 5 does not divide the 12 blocks') as string,
    });
    expect(settings).toEqual(completeSettings({ method: 'last', batch: 8 }, backbone));
  });

  it('may be all right', () => {
    expect(checkChoice({ method: 'miet', learningRate: 1e-4 }, backbone)).toEqual({
      problems: {},
      settings: completeSettings({ method: 'miet', learningRate: 1e-4 }, backbone),
    });
    expect(checkChoice({ method: 'last', learningRate: 0 }, backbone).problems).toEqual({
      learningRate: 'Use more than 0.',
    });
  });
});

it('warms up linearly, then follows half a cosine to nearly nothing', () => {
  const factors = Array.from({ length: 100 }, (_, step) => scheduleFactor(step, 100, 10));
  expect(factors[0]).toBeCloseTo(0.1, 10);
  expect(factors[9]).toBeCloseTo(1, 10);
  expect(factors[10]).toBe(1);
  expect(factors[55]).toBeCloseTo(0.5, 10);
  expect(factors[99]).toBeLessThan(1e-3);
  expect(factors.slice(10).every((factor, index, rest) => index === 0 || factor < rest[index - 1]!)).toBe(true);
});

it('balances classes as scikit-learn does', () => {
  expect([...classWeights('balanced', [0, 0, 0, 1], 2)].map((weight) => Number(weight.toFixed(4)))).toEqual([
    0.6667, 2,
  ]);
  expect([...classWeights('none', [0, 0, 0, 1], 2)]).toEqual([1, 1]);
});

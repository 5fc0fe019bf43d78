import { describe, expect, it } from 'vitest';
import { choiceOf, methodsOf, readGrid, readSpace } from '../../../src-main/sweep/read-space.ts';

describe('a search space', () => {
  it('is read from a file: fixed values, lists and ranges, in the order in which they depend on each other', () => {
    const { space, fixed } = readSpace({
      learningRate: { min: 1e-4, max: 1e-2, scale: 'log' },
      rank: { min: 2, max: 16 },
      upto: [2, 3],
      epochs: 20,
      method: ['last', 'miet'],
    });
    expect(fixed).toEqual({ epochs: 20 });
    expect(space).toEqual([
      { kind: 'choice', name: 'method', values: ['last', 'miet'] },
      { kind: 'int', name: 'rank', min: 2, max: 16, scale: 'linear' },
      { kind: 'choice', name: 'upto', values: [2, 3], when: { name: 'method', values: ['miet'] } },
      { kind: 'float', name: 'learningRate', min: 1e-4, max: 1e-2, scale: 'log' },
    ]);
  });

  it('is read from the words of --grid, by the names of flags and of settings', () => {
    expect(readGrid(['lr=1e-3,3e-3', 'rank=4,8; dropPath=0', 'label-smoothing=0.1', 'pool=cls,mean'])).toEqual({
      learningRate: [1e-3, 3e-3],
      rank: [4, 8],
      dropPath: [0],
      labelSmoothing: [0.1],
      pool: ['cls', 'mean'],
    });
  });

  it('makes whole choices of points, without what the method does not have', () => {
    const space = readSpace({ method: ['linear', 'last'], rank: [4, 8] }, { dropPath: 0.1, epochs: 3 });
    expect(methodsOf(space)).toEqual(['linear', 'last']);
    expect(choiceOf(space, { method: 'linear' })).toEqual({ method: 'linear', epochs: 3 });
    expect(choiceOf(space, { method: 'last', rank: 4 })).toEqual({ method: 'last', rank: 4, dropPath: 0.1, epochs: 3 });
  });

  it.each([
    [{ rank: [4] }, {}, 'names no method'],
    [{ method: 'last', rnk: [4] }, {}, '"rnk" is no setting'],
    [{ method: 'last', rank: [4, 4] }, {}, '"rank" has a value twice'],
    [{ method: 'last', rank: [0] }, {}, '"rank" does not take 0'],
    [{ method: 'last', rank: [1.5] }, {}, '"rank" does not take 1.5'],
    [{ method: 'last', rank: 'high' }, {}, '"rank" does not take "high"'],
    [{ method: 'last', rank: { min: 4 } }, {}, '"rank" is neither'],
    [{ method: 'last', rank: { min: 8, max: 4 } }, {}, 'min 8 is not below its max 4'],
    [{ method: 'last', weightDecay: { min: 0, max: 1, scale: 'log' } }, {}, '"weightDecay" has a range on a log scale'],
    [{ method: 'last', pool: { min: 0, max: 1 } }, {}, '"pool" takes a list of words'],
    [{ method: ['linear', 'last'], upto: [2] }, {}, '"upto" is a setting of miet, and the method is linear or last'],
    [{ method: 'linear', rank: [2] }, {}, '"rank" is a setting of last and miet, and the method is linear'],
    [{ rank: [4] }, { method: 'last', rank: 4 }, '"rank" is both a flag and in the space'],
    [['rank'], {}, 'is a JSON object'],
  ] as const)('%j is refused, and the field named', (file, flags, sentence) => {
    expect(() => readSpace(file, flags)).toThrow(sentence);
  });

  it('refuses words that are no setting and values', () => {
    expect(() => readGrid(['rank:4'])).toThrow('not "rank:4"');
    expect(() => readGrid(['rank=4', 'rank=8'])).toThrow('"rank" is there twice');
  });
});

import { describe, expect, it } from 'vitest';
import { completeRequest, readTrainFlags } from '../../../src-main/cli/commands/train.ts';

const named = { dataset: 'd', backbone: 'b', method: 'last', test: true };

describe('the flags of train', () => {
  it('become a request in the words of the studio, without what was not given', () => {
    const typed = { ...named, rank: '4', lr: '1e-3', headLr: '1e-4', warmStart: 'linear', threads: '2', test: false };
    expect(completeRequest(readTrainFlags(typed))).toStrictEqual({
      dataset: 'd',
      backbone: 'b',
      threads: 2,
      noTest: true,
      settings: { method: 'last', rank: 4, learningRate: 0.001, headLearningRate: 0.0001, warmStart: 'linear' },
    });
    expect(completeRequest(readTrainFlags(named))).toStrictEqual({
      dataset: 'd',
      backbone: 'b',
      settings: { method: 'last' },
    });
  });

  it('keep --resume as it was given', () => {
    expect(readTrainFlags({ ...named, resume: true }).resume).toBe(true);
    expect(readTrainFlags({ test: true, resume: 'a-run' })).toStrictEqual({ resume: 'a-run', settings: {} });
  });

  it.each([
    [{ ...named, rank: '0' }, '--rank takes a whole number of at least 1, not "0".'],
    [{ ...named, upto: '0' }, '--upto takes a whole number of at least 1, not "0".'],
    [{ ...named, lr: 'fast' }, '--lr takes a number above 0, not "fast".'],
    [{ ...named, dropPath: '1' }, '--drop-path takes a number of at least 0 and below 1, not "1".'],
    [{ ...named, seed: '-1' }, '--seed takes a whole number of at least 0, not "-1".'],
    [{ test: true, dataset: 'd' }, 'train needs --backbone and --method (or --resume RUN alone, to go on with a run).'],
  ])('%j is wrong usage', (typed, message) => {
    expect(() => completeRequest(readTrainFlags(typed))).toThrow(expect.objectContaining({ code: 'usage', message }));
  });
});

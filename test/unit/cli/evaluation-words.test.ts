import { describe, expect, it } from 'vitest';
import { describeEvaluation } from '../../../src-main/cli/evaluation-words.ts';
import { classScores, macroAverages } from '../../../src-main/studio/class-scores.ts';
import type { Evaluation } from '../../../src-main/studio/contract.ts';

function evaluationOf(confusion: number[][]): Evaluation {
  const classes = confusion.map((_, index) => `c${index}`);
  const perClass = classScores(confusion, classes);
  const images = confusion.flat().reduce((sum, count) => sum + count, 0);
  return {
    ...{ run: 'r', split: 'test', images, epoch: 13, top1: 0.971, interval: { level: 0.95, low: 0.96, high: 0.981 } },
    ...{ macro: 0.9, averages: macroAverages(perClass), loss: 0.1, ece: 0.012, reliability: [], perClass, confusion },
  };
}

describe('an evaluation in words', () => {
  it('has every class and the confusion of few', () => {
    const words = describeEvaluation(
      evaluationOf([
        [8, 2],
        [1, 9],
      ]),
    );
    expect(words.split('\n')).toEqual([
      'r on test, 20 images, with the parameters of epoch 13, the best on val',
      '  top-1 97.1 % (95 % interval over images: 96.0 % to 98.1 %)',
      '  mean of the classes: precision 85.4 %, recall 85.0 %, F1 85.0 %',
      '  calibration error (ECE) 1.2 %',
      '',
      'CLASS  IMAGES  PRECISION  RECALL      F1',
      'c0         10     88.9 %  80.0 %  84.2 %',
      'c1         10     81.8 %  90.0 %  85.7 %',
      '',
      'TRUE \\ PREDICTED  c0  c1',
      'c0                 8   2',
      'c1                 1   9',
      '',
      'Most confused:',
      '  c0 taken for c1: 2 of 10 images (20.0 %)',
      '  c1 taken for c0: 1 of 10 images (10.0 %)',
    ]);
  });

  it('has the worst of many classes, and names the file that it wrote', () => {
    const confusion = Array.from({ length: 30 }, (_, row) =>
      Array.from({ length: 30 }, (__, column) => (row === column ? 100 - row : (row + 1) % 30 === column ? row : 0)),
    );
    const words = describeEvaluation({ ...evaluationOf(confusion), predictions: '/p.csv' });
    expect(words).toContain('The 10 worst of 30 classes by F1 (--json has all):');
    expect(words).not.toContain('TRUE');
    expect(words.match(/^c\d+ /gm)).toHaveLength(10);
    expect(words).toMatch(/^c29 +100 /m);
    expect(words).toContain('\n  c29 taken for c0: 29 of 100 images (29.0 %)\n');
    expect(words.endsWith('\n\nWrote /p.csv')).toBe(true);
  });
});

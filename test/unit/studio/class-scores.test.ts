import { describe, expect, it } from 'vitest';
import { classScores, macroAverages, mostConfused } from '../../../src-main/studio/class-scores.ts';

const classes = ['ant', 'bee', 'cat', 'dog'];
/** Nothing is a cat, though a bee is taken for one; no dog is recognised. */
const confusion = [
  [6, 2, 0, 0],
  [1, 3, 1, 0],
  [0, 0, 0, 0],
  [2, 0, 0, 0],
];

describe('scores by class', () => {
  it('are precision, recall and F1 as scikit-learn has them with zero_division=0', () => {
    const scores = classScores(confusion, classes);
    expect(scores.map(({ class: name, images }) => [name, images])).toEqual([
      ['ant', 8],
      ['bee', 5],
      ['cat', 0],
      ['dog', 2],
    ]);
    const [ant, bee, cat, dog] = scores;
    expect(ant).toMatchObject({ precision: 6 / 9, recall: 6 / 8, f1: 12 / 17 });
    expect(bee).toMatchObject({ precision: 3 / 5, recall: 3 / 5 });
    expect(bee!.f1).toBeCloseTo(3 / 5, 12);
    expect(cat).toMatchObject({ precision: 0, recall: 0, f1: 0 });
    expect(dog).toMatchObject({ precision: 0, recall: 0, f1: 0 });
  });

  it('are averaged over the classes that have images', () => {
    const { precision, recall, f1 } = macroAverages(classScores(confusion, classes));
    expect(precision).toBeCloseTo((6 / 9 + 3 / 5) / 3, 12);
    expect(recall).toBeCloseTo((6 / 8 + 3 / 5) / 3, 12);
    expect(f1).toBeCloseTo((12 / 17 + 3 / 5) / 3, 12);
  });
});

it('the most confused pairs come by their images, then by their share of the class', () => {
  expect(mostConfused(confusion, classes, 3)).toEqual([
    { class: 'dog', takenFor: 'ant', count: 2, images: 2 },
    { class: 'ant', takenFor: 'bee', count: 2, images: 8 },
    { class: 'bee', takenFor: 'ant', count: 1, images: 5 },
  ]);
  expect(mostConfused([[3]], ['ant'], 3)).toEqual([]);
});

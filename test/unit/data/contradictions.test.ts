import { expect, it } from 'vitest';
import { withoutContradictions } from '../../../src-main/data/contradictions.ts';
import type { FoundImage } from '../../../src-main/data/layouts/layout.ts';

const listed = (path: string, label: number, split?: FoundImage['split']): FoundImage => ({
  path,
  label,
  split,
});

it('leaves out what is listed under several classes, and says so once a picture', () => {
  const images = [
    listed('a.png', 0),
    listed('b.png', 1),
    listed('c.png', 2),
    listed('a.png', 1),
    listed('d.png', 0),
    listed('a.png', 0),
  ];
  const { images: left, problems } = withoutContradictions('/p', ['x', 'y', 'z'], images);
  expect(left.map(({ path }) => path)).toEqual(['b.png', 'c.png', 'd.png']);
  expect(problems).toEqual([
    {
      kind: 'contradiction',
      path: '/p/a.png',
      message: '"/p/a.png" is listed under the classes "x" and "y" and was left out: an image is of one.',
    },
  ]);
});

it('leaves in what is listed twice in one class, be it in two splits', () => {
  const images = [listed('a.png', 0, 'train'), listed('a.png', 0, 'test'), listed('b.png', 1)];
  expect(withoutContradictions('/p', ['x', 'y'], images)).toEqual({ images, problems: [] });
});

it('tells rows of a packed file apart', () => {
  const images = [
    { ...listed('p', 0), entry: 0 },
    { ...listed('p', 1), entry: 1 },
  ];
  expect(withoutContradictions('/p', ['x', 'y'], images).problems).toEqual([]);
});

it('refuses a list by which a class has no image of its own', () => {
  const images = [listed('a.png', 0), listed('a.png', 1), listed('b.png', 1)];
  expect(() => withoutContradictions('/p', ['x', 'y'], images)).toThrow(
    'Every image of the class "x" in "/p" is listed under another class too, the first being "a.png"',
  );
});

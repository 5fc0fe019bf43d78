import { applies, type Dimension, type Point, type Space, type Value } from './space.ts';

/** The values that a grid takes of a dimension; undefined for a range of real numbers, which has no end of them. */
export function gridValues(dimension: Dimension): readonly Value[] | undefined {
  if (dimension.kind === 'choice') return dimension.values;
  if (dimension.kind === 'float') return undefined;
  return Array.from({ length: dimension.max - dimension.min + 1 }, (_, index) => dimension.min + index);
}

/**
 * Every point of a space without ranges of real numbers, once, the last dimension varying fastest.
 * @param most points are made at most
 */
export function gridPoints(space: Space, most = Infinity): Point[] {
  const points: Point[] = [];
  const extend = (point: Point, index: number): void => {
    if (points.length >= most) return;
    const dimension = space[index];
    if (!dimension) points.push(point);
    else if (!applies(dimension, point)) extend(point, index + 1);
    else for (const value of gridValues(dimension) ?? []) extend({ ...point, [dimension.name]: value }, index + 1);
  };
  extend({}, 0);
  return points;
}

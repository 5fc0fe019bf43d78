/** A search space as samplers see it: dimensions over the unit interval, some of them only where another has a certain value. */

export type Value = string | number;

interface Named {
  name: string;
  /** Where it has a meaning: only in points in which an earlier dimension has one of these values. */
  when?: { name: string; values: readonly Value[] };
}

export interface Choice extends Named {
  kind: 'choice';
  values: readonly Value[];
}

/** All numbers, or all whole numbers, from `min` to `max`, both included. */
export interface Range extends Named {
  kind: 'int' | 'float';
  min: number;
  max: number;
  scale: 'linear' | 'log';
}

export type Dimension = Choice | Range;
/** Dimensions in the order in which a point is made: those that others depend on first. */
export type Space = readonly Dimension[];
/** A value for every dimension that has a meaning in it. */
export type Point = Readonly<Record<string, Value>>;

/** Digits of a real number in a point: enough to search by, few enough to read. */
const DIGITS = 4;

export function applies({ when }: Dimension, point: Point): boolean {
  if (!when) return true;
  const value = point[when.name];
  return value !== undefined && when.values.includes(value);
}

/** The point at a place in the unit cube, one coordinate for each dimension, applying or not. */
export function pointAt(space: Space, place: readonly number[]): Point {
  const point: Record<string, Value> = {};
  space.forEach((dimension, index) => {
    if (applies(dimension, point)) point[dimension.name] = valueAt(dimension, place[index]!);
  });
  return point;
}

/** @param unit in [0, 1); equal parts of it belong to the values of a choice, and to whole numbers of a linear range */
export function valueAt(dimension: Dimension, unit: number): Value {
  if (dimension.kind === 'choice') {
    const { values } = dimension;
    return values[Math.min(values.length - 1, Math.floor(unit * values.length))]!;
  }
  const [low, high] = ends(dimension);
  const number = inverse(dimension, low + unit * (high - low));
  const rounded = dimension.kind === 'int' ? Math.round(number) : Number(number.toPrecision(DIGITS));
  return Math.min(dimension.max, Math.max(dimension.min, rounded));
}

/** The part of the unit interval that belongs to a value; of no width for a real number. */
export function unitsOf(dimension: Dimension, value: Value): readonly [number, number] {
  if (dimension.kind === 'choice') {
    const index = dimension.values.indexOf(value);
    return [index / dimension.values.length, (index + 1) / dimension.values.length];
  }
  const [low, high] = ends(dimension);
  const half = dimension.kind === 'int' ? 0.5 : 0;
  const at = (number: number) => (high > low ? (forward(dimension, number) - low) / (high - low) : 0.5);
  return [Math.max(0, at(Number(value) - half)), Math.min(1, at(Number(value) + half))];
}

/** Where a range begins and ends on its own scale; whole numbers reach half a step to either side. */
function ends(range: Range): [number, number] {
  const half = range.kind === 'int' ? 0.5 : 0;
  return [forward(range, range.min - half), forward(range, range.max + half)];
}

function forward({ scale }: Range, number: number): number {
  return scale === 'log' ? Math.log(number) : number;
}

function inverse({ scale }: Range, number: number): number {
  return scale === 'log' ? Math.exp(number) : number;
}

/** Equal for equal points and for no others. */
export function keyOf(space: Space, point: Point): string {
  return JSON.stringify(space.map(({ name }) => point[name] ?? null));
}

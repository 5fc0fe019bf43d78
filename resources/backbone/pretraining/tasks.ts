/** What is asked of the backbone while it is pretrained: each task a choice among classes, each with a linear head. */
import { families } from './families.ts';
import { HUES, patterns } from './surfaces.ts';

export interface Task {
  name: string;
  classes: number;
  /** Weight in the loss. */
  weight: number;
}

/** Objects in a picture at most. */
export const MOST_OBJECTS = 4;
/** Directions are a full turn in this many parts, axes half a turn. */
export const DIRECTIONS = 12;
export const AXES = 8;
/** Parts of a picture's width and height that positions are told in. */
export const PLACES = 8;
export const SIZES = 6;
/** Bearings from an object's centre to a patch of it. */
export const BEARINGS = 8;

/** Of the whole picture: its main object (the largest), how many there are, and what lies behind them. */
export const pictureTasks = [
  { name: 'shape', classes: families.length, weight: 1 },
  { name: 'direction', classes: DIRECTIONS, weight: 1 },
  { name: 'axis', classes: AXES, weight: 0.5 },
  { name: 'hue', classes: HUES, weight: 0.5 },
  { name: 'pattern', classes: patterns.length, weight: 0.5 },
  { name: 'hollow', classes: 2, weight: 0.3 },
  { name: 'size', classes: SIZES, weight: 0.3 },
  { name: 'column', classes: PLACES, weight: 0.3 },
  { name: 'row', classes: PLACES, weight: 0.3 },
  { name: 'count', classes: MOST_OBJECTS, weight: 0.5 },
  { name: 'ground', classes: patterns.length, weight: 0.5 },
] as const satisfies readonly Task[];

/**
 * Of each patch: whether an object has a quarter of it; how an edge of objects runs through it; of the object there its
 * family, its direction and where from its centre the patch lies; and the paint.
 */
export const patchTasks = [
  { name: 'object', classes: 2, weight: 1 },
  { name: 'edge', classes: AXES, weight: 0.5 },
  { name: 'shape', classes: families.length, weight: 1 },
  { name: 'direction', classes: DIRECTIONS, weight: 1 },
  { name: 'bearing', classes: BEARINGS, weight: 0.5 },
  { name: 'hue', classes: HUES, weight: 0.3 },
  { name: 'pattern', classes: patterns.length, weight: 0.3 },
] as const satisfies readonly Task[];

export type PictureTask = (typeof pictureTasks)[number]['name'];
export type PatchTask = (typeof patchTasks)[number]['name'];

/** Classes of all tasks together: the width of their common head. */
export function headWidth(tasks: readonly Task[]): number {
  return tasks.reduce((sum, { classes }) => sum + classes, 0);
}

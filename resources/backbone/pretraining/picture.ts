/** Pictures for pretraining: one to four shapes before a background, and everything that is asked about them. */
import type { RandomGenerator } from 'pure-rand/types/RandomGenerator';
import { generatorFor, uniform } from '../../../src-main/training/random.ts';
import { families } from './families.ts';
import { orientationOf } from './orientation.ts';
import type { Orientation } from './orientation.ts';
import { coverage, hollowed, place, radial } from './outline.ts';
import type { Outline } from './outline.ts';
import { colourDistance, hueClass, patterns, randomColour, randomSurface } from './surfaces.ts';
import type { Colour, Pattern, Surface } from './surfaces.ts';
import { AXES, BEARINGS, DIRECTIONS, MOST_OBJECTS, PLACES, SIZES } from './tasks.ts';
import type { PatchTask, PictureTask } from './tasks.ts';
import { weather } from './weather.ts';

/** Width and height in pixels, and those of a patch. */
export const SIDE = 64;
export const PATCH = 8;
const AREA = SIDE * SIDE;
const GRID = SIDE / PATCH;
export const PATCHES = GRID * GRID;

/** A class, or null where the question has no answer: a disc has no direction. */
export type Answers<Name extends string> = Record<Name, number | null>;

export interface Picture {
  /** [3, SIDE, SIDE], 0 to 1 in steps of 1/255, red first. */
  pixels: Float32Array;
  answers: Answers<PictureTask>;
  /** Of each patch, row by row. */
  patches: Answers<PatchTask>[];
}

interface Thing {
  family: number;
  radius: number;
  x: number;
  y: number;
  hollow: boolean;
  surface: Surface;
  covered: Float32Array;
  orientation: Orientation;
}

const PURPOSE = 10;

/** The picture with this number; number and seed alone decide it. */
export function drawPicture(index: number, seed: number): Picture {
  const random = generatorFor(seed, PURPOSE, index);
  // Half are without patterns, so that form is all there is to see.
  const bare = uniform(random) < 0.5;
  const groundColour = randomColour(random);
  const ground = randomSurface(random, bare ? 'plain' : pick(random, patterns), SIDE, groundColour);
  const { things, main } = scatter(random, bare, ground);

  const pixels = new Float32Array(3 * AREA);
  paint(pixels, ground, undefined);
  if (ground.pattern === 'clutter') litter(random, pixels);
  const owners = new Int8Array(AREA).fill(-1);
  const figure = new Float32Array(AREA);
  things.forEach((thing, number) => {
    paint(pixels, thing.surface, thing.covered);
    for (let pixel = 0; pixel < AREA; pixel++) {
      const share = thing.covered[pixel]!;
      if (share > 0.5) owners[pixel] = number;
      if (share > figure[pixel]!) figure[pixel] = share;
    }
  });
  const grey = !bare && weather(random, pixels, SIDE);
  for (let at = 0; at < pixels.length; at++) pixels[at] = Math.round(255 * Math.min(1, Math.max(0, pixels[at]!))) / 255;

  const hueOf = ({ first }: Surface) => (grey ? null : hueClass(first));
  return {
    pixels,
    answers: {
      shape: main.family,
      ...orientationClasses(main.orientation),
      hue: hueOf(main.surface),
      pattern: patterns.indexOf(main.surface.pattern),
      hollow: families[main.family]!.hollow ? Number(main.hollow) : null,
      size: Math.min(SIZES - 1, Math.floor((SIZES * Math.log(main.radius / SMALLEST)) / Math.log(LARGEST / SMALLEST))),
      column: Math.floor((main.x / SIDE) * PLACES),
      row: Math.floor((main.y / SIDE) * PLACES),
      count: things.length - 1,
      ground: patterns.indexOf(ground.pattern),
    },
    patches: Array.from({ length: PATCHES }, (_, patch) => {
      const thing = things[ownerOf(owners, patch)];
      const surface = (thing ?? { surface: ground }).surface;
      return {
        object: Number(thing !== undefined),
        edge: edgeOf(figure, patch),
        shape: thing ? thing.family : null,
        direction: thing ? orientationClasses(thing.orientation).direction : null,
        bearing: thing ? bearingOf(thing, patch) : null,
        hue: hueOf(surface),
        pattern: patterns.indexOf(surface.pattern),
      };
    }),
  };
}

/** Radius of the main object in pixels. */
const SMALLEST = 6;
const LARGEST = 28;

/** The objects from back to front; at most one of the others may lie before the main one. */
function scatter(random: RandomGenerator, bare: boolean, ground: Surface): { things: Thing[]; main: Thing } {
  const radius = SMALLEST * (LARGEST / SMALLEST) ** uniform(random);
  const main = randomThing(random, bare, ground, radius);
  const others = uniform(random) < 0.55 ? 0 : 1 + Math.floor((MOST_OBJECTS - 1) * uniform(random));
  const things = Array.from({ length: others }, () =>
    randomThing(random, bare, ground, Math.max(3.5, radius * (0.3 + 0.35 * uniform(random)))),
  );
  things.splice(Math.max(0, others - Math.round(uniform(random))), 0, main);
  return { things, main };
}

function randomThing(random: RandomGenerator, bare: boolean, ground: Surface, radius: number): Thing {
  const number = Math.floor(families.length * uniform(random));
  const family = families[number]!;
  const angle = 2 * Math.PI * uniform(random);
  const margin = 0.75 * radius;
  const x = margin + (SIDE - 2 * margin) * uniform(random);
  const y = margin + (SIDE - 2 * margin) * uniform(random);
  const hollow = family.hollow && uniform(random) < 0.2;
  const outline = hollow ? hollowed(family.outline, 0.55 + 0.2 * uniform(random)) : family.outline;
  // Longer or shorter along its direction, now and then mirrored across it.
  const stretch = Math.exp(0.25 * (uniform(random) - 0.5));
  const mirror = uniform(random) < 0.5 ? -1 : 1;
  const along = radius * stretch;
  const across = (mirror * radius) / stretch;
  const cos = Math.cos(angle);
  const sin = Math.sin(angle);
  const placed = place(outline, { a: along * cos, b: -across * sin, c: along * sin, d: across * cos, x, y });
  let colour = randomColour(random);
  while (colourDistance(colour, ground.first) < 0.45) colour = randomColour(random);
  const pattern: Pattern = bare || uniform(random) < 0.35 ? 'plain' : pick(random, patterns.slice(0, -1));
  const covered = coverage(placed, SIDE);
  return {
    family: number,
    radius,
    x,
    y,
    hollow,
    surface: randomSurface(random, pattern, SIDE, colour),
    covered,
    orientation: orientationOf(covered, SIDE),
  };
}

function orientationClasses({ direction, axis }: Orientation): { direction: number | null; axis: number | null } {
  return {
    direction: direction === null ? null : Math.floor(direction * DIRECTIONS) % DIRECTIONS,
    axis: axis === null ? null : Math.floor(2 * axis * AXES) % AXES,
  };
}

/** First pixel of a patch. */
function cornerOf(patch: number): number {
  return Math.floor(patch / GRID) * PATCH * SIDE + (patch % GRID) * PATCH;
}

/** Where from the object's centre the patch lies, in eighths of a turn; null in the middle of it. */
function bearingOf({ x, y, radius }: Thing, patch: number): number | null {
  const dx = ((patch % GRID) + 0.5) * PATCH - x;
  const dy = (Math.floor(patch / GRID) + 0.5) * PATCH - y;
  if (Math.hypot(dx, dy) < 0.3 * radius) return null;
  return Math.floor((Math.atan2(dy, dx) / (2 * Math.PI) + 1) * BEARINGS) % BEARINGS;
}

/**
 * The course of the edge between objects and background through a patch, from the structure tensor of their coverage;
 * null where there is none or where it turns.
 */
function edgeOf(figure: Float32Array, patch: number): number | null {
  const corner = cornerOf(patch);
  let xx = 0;
  let yy = 0;
  let xy = 0;
  for (let row = 0; row < PATCH - 1; row++) {
    for (let column = 0; column < PATCH - 1; column++) {
      const at = corner + row * SIDE + column;
      const dx = figure[at + 1]! - figure[at]!;
      const dy = figure[at + SIDE]! - figure[at]!;
      xx += dx * dx;
      yy += dy * dy;
      xy += dx * dy;
    }
  }
  if (xx + yy < 1 || Math.hypot(xx - yy, 2 * xy) < 0.5 * (xx + yy)) return null;
  const turn = Math.atan2(2 * xy, xx - yy) / (2 * Math.PI);
  return Math.floor((turn + 1) * AXES) % AXES;
}

/** The object that has a quarter of the patch and more of it than any other; -1 for none. */
function ownerOf(owners: Int8Array, patch: number): number {
  const counts = new Int32Array(MOST_OBJECTS);
  const corner = cornerOf(patch);
  for (let row = 0; row < PATCH; row++) {
    for (let column = 0; column < PATCH; column++) {
      const owner = owners[corner + row * SIDE + column]!;
      if (owner >= 0) counts[owner]!++;
    }
  }
  const most = counts.indexOf(Math.max(...counts));
  return counts[most]! >= (PATCH * PATCH) / 4 ? most : -1;
}

/** Lays a surface over the pixels, everywhere or to the shares given. */
function paint(pixels: Float32Array, { first, second, blend }: Surface, covered: Float32Array | undefined): void {
  const [red, green, blue] = first;
  const [toRed, toGreen, toBlue] = [second[0] - red, second[1] - green, second[2] - blue];
  for (let pixel = 0; pixel < AREA; pixel++) {
    const share = covered ? Math.min(1, covered[pixel]!) : 1;
    if (share === 0) continue;
    const mixed = blend(pixel % SIDE, Math.floor(pixel / SIDE));
    pixels[pixel]! += (red + toRed * mixed - pixels[pixel]!) * share;
    pixels[AREA + pixel]! += (green + toGreen * mixed - pixels[AREA + pixel]!) * share;
    pixels[2 * AREA + pixel]! += (blue + toBlue * mixed - pixels[2 * AREA + pixel]!) * share;
  }
}

/** Small triangles and squares of any colour, all over. */
function litter(random: RandomGenerator, pixels: Float32Array): void {
  const pieces = 10 + Math.floor(20 * uniform(random));
  for (let piece = 0; piece < pieces; piece++) {
    const colour: Colour = randomColour(random);
    const corners = 3 + Math.floor(2 * uniform(random));
    const radius = 3 + 7 * uniform(random);
    const shift = 2 * Math.PI * uniform(random);
    const turned: Outline = [radial(() => radius, corners)];
    const cos = Math.cos(shift);
    const sin = Math.sin(shift);
    const x = SIDE * uniform(random);
    const y = SIDE * uniform(random);
    const covered = coverage(place(turned, { a: cos, b: -sin, c: sin, d: cos, x, y }), SIDE);
    paint(pixels, { pattern: 'plain', first: colour, second: colour, blend: () => 0 }, covered);
  }
}

function pick<Item>(random: RandomGenerator, items: readonly Item[]): Item {
  return items[Math.floor(items.length * uniform(random))]!;
}

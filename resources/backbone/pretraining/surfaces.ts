/** What objects and backgrounds are painted with: two colours and a pattern that blends them. */
import type { RandomGenerator } from 'pure-rand/types/RandomGenerator';
import { uniform } from '../../../src-main/training/random.ts';

export type Colour = readonly [number, number, number];

/** `clutter` is for backgrounds alone: many small pieces, each of a colour. */
export const patterns = [
  'plain',
  'gradient',
  'stripes',
  'checker',
  'dots',
  'rings',
  'clouds',
  'speckle',
  'clutter',
] as const;
export type Pattern = (typeof patterns)[number];

export interface Surface {
  pattern: Pattern;
  first: Colour;
  second: Colour;
  /** Share of the second colour at a pixel. */
  blend: (x: number, y: number) => number;
}

/** Twelve hues, then black, grey and white. */
export const HUES = 15;

/** The class of a colour among `HUES`. */
export function hueClass([red, green, blue]: Colour): number {
  const high = Math.max(red, green, blue);
  const chroma = high - Math.min(red, green, blue);
  if (chroma < 0.15) return high < 0.33 ? 12 : high < 0.67 ? 13 : 14;
  const sixth =
    high === red ? (green - blue) / chroma : high === green ? 2 + (blue - red) / chroma : 4 + (red - green) / chroma;
  return Math.floor(2 * ((sixth + 6) % 6)) % 12;
}

/** Any colour; a quarter are greys, with black and white among them. */
export function randomColour(random: RandomGenerator): Colour {
  if (uniform(random) < 0.25) {
    const level = uniform(random) < 0.4 ? Math.round(uniform(random)) : uniform(random);
    return [level, level, level];
  }
  const hue = 6 * uniform(random);
  const value = 0.25 + 0.75 * Math.sqrt(uniform(random));
  const chroma = value * (0.2 + 0.8 * uniform(random));
  const channel = (shift: number) => {
    const turn = (hue + shift) % 6;
    return value - chroma * Math.max(0, Math.min(1, turn, 4 - turn));
  };
  return [channel(5), channel(3), channel(1)];
}

export function colourDistance(a: Colour, b: Colour): number {
  return Math.hypot(a[0] - b[0], a[1] - b[1], a[2] - b[2]);
}

/** A random surface of a pattern; lengths suit a picture of `side` pixels. `first` is its main colour. */
export function randomSurface(random: RandomGenerator, pattern: Pattern, side: number, first: Colour): Surface {
  let second = randomColour(random);
  while (colourDistance(first, second) < 0.25) second = randomColour(random);
  return { pattern, first, second, blend: blendOf(random, pattern, side) };
}

function blendOf(random: RandomGenerator, pattern: Pattern, side: number): Surface['blend'] {
  const angle = 2 * Math.PI * uniform(random);
  // Periods from 3 pixels of 64 to 14.
  const period = (side / 64) * 3 * (14 / 3) ** uniform(random);
  const phase = uniform(random);
  const cos = Math.cos(angle) / period;
  const sin = Math.sin(angle) / period;
  const along = (x: number, y: number) => cos * x + sin * y + phase;
  const across = (x: number, y: number) => cos * y - sin * x + phase;
  switch (pattern) {
    case 'plain':
    case 'clutter':
      return () => 0;
    case 'gradient': {
      const slope = period / side;
      return (x, y) => clamp(0.5 + slope * (along(x - side / 2, y - side / 2) - phase));
    }
    case 'stripes': {
      const sharp = 1 + 3 * uniform(random);
      return (x, y) => clamp(0.5 + sharp * (triangle(along(x, y)) - 0.5) * 2);
    }
    case 'checker':
      return (x, y) => (Math.floor(along(x, y)) + Math.floor(across(x, y))) & 1;
    case 'dots': {
      const radius = 0.25 + 0.13 * uniform(random);
      return (x, y) => {
        const u = along(x, y);
        const v = across(x, y);
        return clamp(0.5 + (radius - Math.hypot(u - Math.floor(u) - 0.5, v - Math.floor(v) - 0.5)) * period);
      };
    }
    case 'rings': {
      const centreX = side * uniform(random);
      const centreY = side * uniform(random);
      return (x, y) => triangle(Math.hypot(x - centreX, y - centreY) / period + phase);
    }
    case 'clouds':
      return clouds(random, 4 * period);
    case 'speckle':
      return () => uniform(random);
  }
}

const clamp = (value: number): number => Math.min(1, Math.max(0, value));

/** 0 at whole numbers, 1 half-way. */
function triangle(at: number): number {
  return 1 - Math.abs(2 * (at - Math.floor(at)) - 1);
}

const LATTICE = 16;

/** Two octaves of value noise (https://en.wikipedia.org/wiki/Value_noise). */
function clouds(random: RandomGenerator, period: number): Surface['blend'] {
  const lattice = Float32Array.from({ length: LATTICE * LATTICE }, () => uniform(random));
  const octave = (x: number, y: number) => {
    const column = Math.floor(x);
    const row = Math.floor(y);
    const right = smooth(x - column);
    const below = smooth(y - row);
    const above = (row & (LATTICE - 1)) * LATTICE;
    const under = ((row + 1) & (LATTICE - 1)) * LATTICE;
    const from = column & (LATTICE - 1);
    const to = (column + 1) & (LATTICE - 1);
    const top = lattice[above + from]! + (lattice[above + to]! - lattice[above + from]!) * right;
    const bottom = lattice[under + from]! + (lattice[under + to]! - lattice[under + from]!) * right;
    return top + (bottom - top) * below;
  };
  return (x, y) => {
    const value = octave(x / period, y / period) * 0.65 + octave((2.3 * x) / period + 5, (2.3 * y) / period) * 0.35;
    return clamp(1.8 * (value - 0.5) + 0.5);
  };
}

function smooth(share: number): number {
  return share * share * (3 - 2 * share);
}

/** The families of shapes that pretraining tells apart. Hearts, which the demo teaches, are not among them. */
import { generatorFor, uniform } from '../../../src-main/training/random.ts';
import { oriented, radial, stroke } from './outline.ts';
import type { Contour, Outline } from './outline.ts';

/** A shape about the origin that reaches to 1 or so. */
export interface Family {
  name: string;
  outline: Outline;
  /** Whether a smaller copy of it lies inside it, so that it may be drawn hollow. */
  hollow: boolean;
}

type Point = readonly [number, number];
const family = (name: string, outline: Outline, hollow: boolean): Family => ({
  name,
  outline: outline.map(oriented),
  hollow,
});
const solid = (name: string, outline: Outline) => family(name, outline, true);
const drawn = (name: string, outline: Outline) => family(name, outline, false);
const regular = (corners: number): Outline => [radial(() => 1, corners)];
const star = (points: number, inner: number): Outline => {
  return [radial((angle) => (Math.round((angle * points) / Math.PI) % 2 === 0 ? 1 : inner), 2 * points)];
};
/** An arc of a circle in degrees, as points. */
const arc = (from: number, to: number, radius = 1, steps = 16): Point[] =>
  Array.from({ length: steps + 1 }, (_, step) => {
    const angle = ((from + ((to - from) * step) / steps) * Math.PI) / 180;
    return [radius * Math.cos(angle), radius * Math.sin(angle)] as const;
  });
const polygon = (...points: readonly Point[]): Contour => points.flat();

const THICKNESS = 0.34;

const named: readonly Family[] = [
  solid('disc', [radial(() => 1)]),
  solid('ellipse', [radial((a) => 0.5 / Math.hypot(0.5 * Math.cos(a), Math.sin(a)))]),
  solid('egg', [radial((a) => 0.72 / Math.hypot(Math.cos(a) * (Math.cos(a) > 0 ? 0.72 : 1.05), Math.sin(a)))]),
  solid('square', regular(4)),
  solid('rectangle', [polygon([-1, -0.5], [1, -0.5], [1, 0.5], [-1, 0.5])]),
  solid('bar', [polygon([-1, -0.22], [1, -0.22], [1, 0.22], [-1, 0.22])]),
  solid('triangle', regular(3)),
  solid('spike', [polygon([1.1, 0], [-0.8, 0.5], [-0.8, -0.5])]),
  solid('wedge', [polygon([-0.7, -0.8], [-0.7, 0.8], [0.9, -0.8])]),
  solid('pentagon', regular(5)),
  solid('hexagon', regular(6)),
  solid('star-4', star(4, 0.38)),
  solid('star-5', star(5, 0.42)),
  solid('star-7', star(7, 0.55)),
  solid('gear', [radial((a) => (Math.sin(9 * a) > 0 ? 1 : 0.78), 108)]),
  solid('flower', [radial((a) => 0.75 + 0.25 * Math.cos(5 * a), 80)]),
  solid('teardrop', [polygon([1.15, 0], ...arc(55, 305, 0.68).map(([x, y]): Point => [x - 0.3, y]))]),
  drawn('crescent', [
    polygon(...arc(60, 300, 1), ...arc(285, 75, 0.9).map(([x, y]): Point => [x + 0.35, y])).map((value) => -value),
  ]),
  solid('half-disc', [polygon(...arc(-90, 90, 1).map(([x, y]): Point => [x - 0.4, y]))]),
  solid('quarter', [polygon([-0.6, 0], ...arc(-45, 45, 1.4).map(([x, y]): Point => [x - 0.6, y]))]),
  solid('mouth', [polygon([0, 0], ...arc(35, 325, 1)).map((value) => -value)]),
  solid('kite', [polygon([1.1, 0], [-0.35, 0.7], [-0.8, 0], [-0.35, -0.7])]),
  solid('trapezoid', [polygon([0.7, -0.4], [0.7, 0.4], [-0.7, 0.9], [-0.7, -0.9])]),
  solid('slanted', [polygon([-1, -0.5], [0.5, -0.5], [1, 0.5], [-0.5, 0.5])]),
  solid('leaf', [
    polygon(
      ...arc(-53, 53, 1.25).map(([x, y]): Point => [y, x - 0.75]),
      ...arc(127, 233, 1.25).map(([x, y]): Point => [y, x + 0.75]),
    ),
  ]),
  solid('house', [polygon([1, 0], [0.25, 0.8], [-0.8, 0.8], [-0.8, -0.8], [0.25, -0.8])]),
  drawn('fish', [
    radial((a) => 0.42 / Math.hypot(0.42 * Math.cos(a), Math.sin(a))).map((v, i) => (i % 2 ? v : 0.8 * v + 0.25)),
    polygon([-0.3, 0], [-1, 0.55], [-1, -0.55]),
  ]),
  drawn('mushroom', [polygon(...arc(-90, 90, 0.9)), polygon([0.1, -0.25], [0.1, 0.25], [-0.9, 0.25], [-0.9, -0.25])]),
  drawn('arrow', [polygon([1.1, 0], [0.2, 0.7], [0.2, -0.7]), polygon([0.3, -0.2], [0.3, 0.2], [-1, 0.2], [-1, -0.2])]),
  drawn(
    'chevron',
    stroke(
      [
        [-0.6, -0.8],
        [0.7, 0],
        [-0.6, 0.8],
      ],
      THICKNESS,
    ),
  ),
  drawn(
    'plus',
    stroke(
      [
        [-0.85, 0],
        [0.85, 0],
      ],
      THICKNESS,
    ).concat(
      stroke(
        [
          [0, -0.85],
          [0, 0.85],
        ],
        THICKNESS,
      ),
    ),
  ),
  drawn(
    'tee',
    stroke(
      [
        [-0.9, 0],
        [0.7, 0],
      ],
      THICKNESS,
    ).concat(
      stroke(
        [
          [0.75, -0.8],
          [0.75, 0.8],
        ],
        THICKNESS,
      ),
    ),
  ),
  drawn(
    'angle',
    stroke(
      [
        [0.8, -0.6],
        [-0.7, -0.6],
        [-0.7, 0.8],
      ],
      THICKNESS,
    ),
  ),
  drawn(
    'cup',
    stroke(
      [
        [0.8, -0.65],
        [-0.7, -0.65],
        [-0.7, 0.65],
        [0.8, 0.65],
      ],
      THICKNESS,
    ),
  ),
  drawn(
    'zigzag',
    stroke(
      [
        [-0.8, -0.7],
        [0.8, -0.7],
        [-0.8, 0.7],
        [0.8, 0.7],
      ],
      THICKNESS,
    ),
  ),
  drawn(
    'rungs',
    stroke(
      [
        [-0.8, -0.7],
        [0.8, -0.7],
      ],
      THICKNESS,
    ).concat(
      stroke(
        [
          [-0.8, 0.7],
          [0.8, 0.7],
        ],
        THICKNESS,
      ),
      stroke(
        [
          [0, -0.7],
          [0, 0.7],
        ],
        THICKNESS,
      ),
    ),
  ),
  drawn(
    'fork',
    stroke(
      [
        [-0.9, 0],
        [0, 0],
        [0.8, 0.7],
      ],
      THICKNESS,
    ).concat(
      stroke(
        [
          [0, 0],
          [0.8, -0.7],
        ],
        THICKNESS,
      ),
    ),
  ),
  drawn('key', [
    ...stroke(
      [...arc(0, 360, 0.42)].map(([x, y]): Point => [x + 0.55, y]),
      0.22,
    ),
    ...stroke(
      [
        [0.2, 0],
        [-1, 0],
      ],
      0.24,
    ),
    ...stroke(
      [
        [-0.85, 0],
        [-0.85, 0.4],
      ],
      0.22,
    ),
  ]),
  drawn(
    'spiral',
    stroke(
      Array.from({ length: 30 }, (_, i): Point => [
        (0.12 + 0.03 * i) * Math.cos(i * 0.42),
        (0.12 + 0.03 * i) * Math.sin(i * 0.42),
      ]),
      0.2,
    ),
  ),
  drawn('ring', stroke(arc(0, 360, 0.8, 28), 0.28)),
  drawn('open-ring', stroke(arc(35, 325, 0.8, 24), 0.3)),
  drawn('barbell', [
    radial(() => 0.45).map((v, i) => (i % 2 ? v : v - 0.6)),
    radial(() => 0.45).map((v, i) => (i % 2 ? v : v + 0.6)),
    ...stroke(
      [
        [-0.6, 0],
        [0.6, 0],
      ],
      0.24,
    ),
  ]),
];

const MADE_UP = 11;
/** Families of each of the two made-up kinds. */
const COUNT = 8;

/** Closed curves of a few random harmonics. */
function blob(index: number): Family {
  const random = generatorFor(MADE_UP, 1, index);
  const waves = [1, 2, 3, 4, 5].map((order) => ({
    order,
    height: ((uniform(random) + 0.3) * 0.42) / order ** 0.7,
    phase: 2 * Math.PI * uniform(random),
  }));
  const radius = (angle: number) =>
    0.62 * Math.exp(waves.reduce((sum, { order, height, phase }) => sum + height * Math.cos(order * angle + phase), 0));
  return solid(`blob-${index}`, [radial(radius)]);
}

/** Three to five strokes between the points of a grid of nine, as letters are. */
function glyph(index: number): Family {
  const random = generatorFor(MADE_UP, 2, index);
  const strokes = 3 + Math.floor(3 * uniform(random));
  const at = (place: number): Point => [0.8 * ((place % 3) - 1), 0.8 * (Math.floor(place / 3) - 1)];
  const points: number[] = [Math.floor(9 * uniform(random))];
  while (points.length <= strokes) {
    const next = Math.floor(9 * uniform(random));
    if (!points.includes(next)) points.push(next);
  }
  return drawn(`glyph-${index}`, stroke(points.map(at), 0.3));
}

export const families: readonly Family[] = [
  ...named,
  ...Array.from({ length: COUNT }, (_, index) => blob(index)),
  ...Array.from({ length: COUNT }, (_, index) => glyph(index)),
];

/** Outlines of shapes: made in a frame of their own, moved into a picture, and turned into coverage of its pixels. */

/** A closed polygon: x0, y0, x1, y1, ... */
export type Contour = readonly number[];

/** Contours that are filled together: a point is inside where their winding numbers do not cancel. */
export type Outline = readonly Contour[];

/** The contour in the sense of rotation that the others have: what overlaps adds up and does not cancel. */
export function oriented(contour: Contour): Contour {
  let area = 0;
  for (let i = 0; i < contour.length; i += 2) {
    const next = (i + 2) % contour.length;
    area += contour[i]! * contour[next + 1]! - contour[next]! * contour[i + 1]!;
  }
  return area >= 0 ? contour : reversed(contour);
}

function reversed(contour: Contour): number[] {
  const points = Array.from({ length: contour.length / 2 }, (_, i) => contour.slice(2 * i, 2 * i + 2));
  return points.toReversed().flat();
}

/** `steps` points of the curve radius(angle) around the origin. */
export function radial(radius: (angle: number) => number, steps = 48): Contour {
  return Array.from({ length: steps }, (_, step) => {
    const angle = (2 * Math.PI * step) / steps;
    return [radius(angle) * Math.cos(angle), radius(angle) * Math.sin(angle)];
  }).flat();
}

/** A polyline as overlapping bars of this thickness, square at the ends. */
export function stroke(points: readonly (readonly [number, number])[], thickness: number): Outline {
  const half = thickness / 2;
  return points.slice(1).map(([toX, toY], index) => {
    const [fromX, fromY] = points[index]!;
    const length = Math.hypot(toX - fromX, toY - fromY);
    const alongX = ((toX - fromX) / length) * half;
    const alongY = ((toY - fromY) / length) * half;
    return [
      [fromX - alongX + alongY, fromY - alongY - alongX],
      [toX + alongX + alongY, toY + alongY - alongX],
      [toX + alongX - alongY, toY + alongY + alongX],
      [fromX - alongX - alongY, fromY - alongY + alongX],
    ].flat();
  });
}

/** The outline with a hole of its own form, `share` as wide. */
export function hollowed(outline: Outline, share: number): Outline {
  const hole = outline.map((contour) => reversed(contour).map((value) => value * share));
  return [...outline, ...hole];
}

/** x' = a x + b y + x0, y' = c x + d y + y0. */
export interface Placement {
  a: number;
  b: number;
  c: number;
  d: number;
  x: number;
  y: number;
}

export function place(outline: Outline, { a, b, c, d, x, y }: Placement): Outline {
  return outline.map((contour) => {
    const placed = new Array<number>(contour.length);
    for (let i = 0; i < contour.length; i += 2) {
      placed[i] = a * contour[i]! + b * contour[i + 1]! + x;
      placed[i + 1] = c * contour[i]! + d * contour[i + 1]! + y;
    }
    return placed;
  });
}

/** Scan lines in a pixel; along a line coverage is exact. */
const LINES = 4;

/**
 * The share of every pixel that the outline covers, by scan lines.
 * @param side width and height of the picture in pixels
 * @returns [side * side], row by row
 */
export function coverage(outline: Outline, side: number): Float32Array {
  const crossings = Array.from({ length: side * LINES }, (): { x: number; turn: number }[] => []);
  for (const contour of outline) {
    for (let i = 0; i < contour.length; i += 2) {
      const next = (i + 2) % contour.length;
      cross(crossings, contour[i]!, contour[i + 1]!, contour[next]!, contour[next + 1]!);
    }
  }
  const covered = new Float32Array(side * side);
  crossings.forEach((line, index) => {
    line.sort((left, right) => left.x - right.x);
    const row = Math.floor(index / LINES) * side;
    let winding = 0;
    line.forEach(({ x, turn }, at) => {
      if (winding !== 0) fill(covered, row, side, line[at - 1]!.x, x);
      winding += turn;
    });
  });
  return covered;
}

/** Notes where the edge crosses the scan lines, whose first lies half a line below 0. */
function cross(
  crossings: { x: number; turn: number }[][],
  fromX: number,
  fromY: number,
  toX: number,
  toY: number,
): void {
  if (fromY === toY) return;
  const turn = fromY < toY ? 1 : -1;
  const first = Math.max(0, Math.ceil(Math.min(fromY, toY) * LINES - 0.5));
  const end = Math.min(crossings.length, Math.ceil(Math.max(fromY, toY) * LINES - 0.5));
  const slope = (toX - fromX) / (toY - fromY);
  for (let line = first; line < end; line++) {
    crossings[line]!.push({ x: fromX + slope * ((line + 0.5) / LINES - fromY), turn });
  }
}

function fill(covered: Float32Array, row: number, side: number, from: number, to: number): void {
  const start = Math.max(0, from);
  const end = Math.min(side, to);
  for (let column = Math.floor(start); column < end; column++) {
    covered[row + column]! += (Math.min(end, column + 1) - Math.max(start, column)) / LINES;
  }
}

/** How a form lies and which way it points, by its moments: of any form, whatever it is called. */

export interface Orientation {
  /** The axis along which it is longest, in turns from 0 to 1/2; null where it is nearly as long across. */
  axis: number | null;
  /**
   * The way in which it tapers off, along that axis or across it, in turns from 0 to 1; null without an axis, where it
   * tapers hardly, and where it does both ways alike.
   */
  direction: number | null;
}

/** How much longer along than across, and how skew, a form must be to have the one or the other. */
const LONG = 0.12;
const SKEW = 0.12;
/** How much of the larger skewness the other may have. */
const CLEAR = 0.8;

/**
 * Axis from the second moments (Hu 1962, "Visual pattern recognition by moment invariants"), direction from the third
 * along it and across. Angles run from the right down, as rows do.
 * @param covered shares of pixels, [side * side]
 */
export function orientationOf(covered: Float32Array, side: number): Orientation {
  let area = 0;
  let sumX = 0;
  let sumY = 0;
  each(covered, side, (x, y, share) => {
    area += share;
    sumX += share * x;
    sumY += share * y;
  });
  let [xx, yy, xy] = [0, 0, 0];
  each(covered, side, (x, y, share) => {
    const dx = x - sumX / area;
    const dy = y - sumY / area;
    xx += share * dx * dx;
    yy += share * dy * dy;
    xy += share * dx * dy;
  });
  if (area === 0 || Math.hypot(xx - yy, 2 * xy) < LONG * (xx + yy)) return { axis: null, direction: null };
  const angle = Math.atan2(2 * xy, xx - yy) / 2;
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
  let [uu, vv, uuu, vvv] = [0, 0, 0, 0];
  each(covered, side, (x, y, share) => {
    const dx = x - sumX / area;
    const dy = y - sumY / area;
    const u = dx * cos + dy * sin;
    const v = dy * cos - dx * sin;
    uu += share * u ** 2;
    vv += share * v ** 2;
    uuu += share * u ** 3;
    vvv += share * v ** 3;
  });
  const along = (uuu / area) * (uu / area) ** -1.5;
  const across = (vvv / area) * (vv / area) ** -1.5;
  const [more, less] = [Math.abs(along), Math.abs(across)].sort((a, b) => b - a) as [number, number];
  const ways = Math.abs(along) > Math.abs(across) ? (along > 0 ? 0 : 0.5) : across > 0 ? 0.25 : 0.75;
  return {
    axis: within(angle / (2 * Math.PI), 0.5),
    direction: more > SKEW && less < CLEAR * more ? within(angle / (2 * Math.PI) + ways, 1) : null,
  };
}

function each(covered: Float32Array, side: number, visit: (x: number, y: number, share: number) => void): void {
  covered.forEach((share, pixel) => {
    if (share > 0) visit(pixel % side, Math.floor(pixel / side), Math.min(1, share));
  });
}

/** Turns brought into [0, period). */
function within(turn: number, period: number): number {
  return turn - period * Math.floor(turn / period);
}

/** Where a heart lies in a picture, in pixels; `angle` in radians, clockwise, 0 upright; `width` across its lobes. */
export interface Heart {
  x: number;
  y: number;
  width: number;
  angle: number;
}

/* In units of its own: the tip at (0, 0), lobes that are circles of radius √2/4 about (±1/4, 3/4), y upwards. */
const lobeRadius = Math.SQRT2 / 4;
const unitWidth = 0.5 + 2 * lobeRadius;
const middle = 0.55;
/** No point of the shape is farther from its middle than this. */
const unitReach = Math.hypot(0.25, 0.75 - middle) + lobeRadius;

/** How far a heart of this width reaches from its middle, whatever its angle. */
export function heartReach(width: number): number {
  return (unitReach / unitWidth) * width;
}

/**
 * A white heart on black, `side` x `side` grey bytes. A pixel's level is the share of it that the heart covers, from
 * the exact distance of its centre to the outline (https://iquilezles.org/articles/distfunctions2d, "Heart").
 */
export function drawHeart(side: number, heart: Heart): Uint8Array {
  const scale = unitWidth / heart.width;
  const cos = Math.cos(heart.angle);
  const sin = Math.sin(heart.angle);
  const pixels = new Uint8Array(side * side);
  for (let row = 0; row < side; row++) {
    for (let column = 0; column < side; column++) {
      const dx = (column + 0.5 - heart.x) * scale;
      const dy = (row + 0.5 - heart.y) * scale;
      const distance = outlineDistance(cos * dx + sin * dy, middle + sin * dx - cos * dy) / scale;
      pixels[row * side + column] = Math.round(255 * Math.min(1, Math.max(0, 0.5 - distance)));
    }
  }
  return pixels;
}

/** Signed distance to the outline, negative inside. */
function outlineDistance(signedX: number, y: number): number {
  const x = Math.abs(signedX);
  if (y + x > 1) return Math.hypot(x - 0.25, y - 0.75) - lobeRadius;
  const along = Math.max(x + y, 0) / 2;
  const nearest = Math.min(Math.hypot(x, y - 1), Math.hypot(x - along, y - along));
  return x > y ? nearest : -nearest;
}

import type { View } from '../image-reference.ts';
import type { Size } from './resample.ts';

/** RGB, height * width * 3 bytes, row-major. */
export interface Pixels {
  pixels: Uint8Array;
  size: Size;
}

/** The part of a picture that a view shows, mirrored left to right where it says so; one pixel at least. */
export function lookAt({ pixels, size }: Pixels, view: View): Pixels {
  const [left, width] = span(view.left, view.width, size.width);
  const [top, height] = span(view.top, view.height, size.height);
  const part = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y++) {
    const start = ((top + y) * size.width + left) * 3;
    const row = part.subarray(y * width * 3, (y + 1) * width * 3);
    row.set(pixels.subarray(start, start + width * 3));
    if (view.mirrored) mirror(row);
  }
  return { pixels: part, size: { width, height } };
}

/** Fractions of a side as whole pixels: the first, and how many. */
function span(from: number, share: number, side: number): [number, number] {
  const length = Math.min(side, Math.max(1, Math.round(share * side)));
  return [Math.min(side - length, Math.round(from * side)), length];
}

function mirror(row: Uint8Array): void {
  for (let left = 0, right = row.length - 3; left < right; left += 3, right -= 3)
    for (let channel = 0; channel < 3; channel++) {
      const value = row[left + channel]!;
      row[left + channel] = row[right + channel]!;
      row[right + channel] = value;
    }
}

import { decode } from '@cwasm/nsbmp';

/** A BMP's pixels: RGBA, height * width * 4 bytes, row-major. */
export interface Bitmap {
  data: Uint8ClampedArray;
  width: number;
  height: number;
}

export function isBmp(bytes: Buffer): boolean {
  return bytes.toString('latin1', 0, 2) === 'BM';
}

/** Pixels that the header promises, read before room is made for them; NaN where the header is cut. */
export function pixelsOfBmp(bytes: Buffer): number {
  if (bytes.length < 26) return NaN;
  // OS/2's first header has 16-bit sizes; a negative height means rows from the top.
  if (bytes.readUInt32LE(14) === 12) return bytes.readUInt16LE(18) * bytes.readUInt16LE(20);
  return Math.abs(bytes.readInt32LE(18) * bytes.readInt32LE(22));
}

/** Every depth, palettes, run lengths and bit fields, by NetSurf's decoder. @throws Error for a damaged file */
export function decodeBmp(bytes: Buffer): Bitmap {
  return decode(bytes);
}

import { writePlainVit } from '../../src-main/backbone/plain-vit.ts';

/** Width and height of the pictures, which are one patch. */
const SIDE = 16;

/**
 * A "ViT" that adds nothing to what it sees: its one patch token is the picture's own 16 x 16 x 3 values, its block adds 0.
 * Pooled by mean, a linear probe on it is a linear classifier of small pictures.
 */
export function writePixelsVit(): Uint8Array {
  const width = 3 * SIDE * SIDE;
  const of = (name: string, shape: readonly number[]): Float32Array => {
    const values = new Float32Array(shape.reduce((product, size) => product * size, 1));
    if (name === 'patch.weight') for (let i = 0; i < width; i++) values[i * width + i] = 1;
    return name.endsWith('.scale') ? values.fill(1) : values;
  };
  const weights = { of, description: 'none: its one patch token holds the pixels' };
  return writePlainVit({ size: SIDE, patch: SIDE, width, blocks: 1, heads: 1, weights });
}

import type { Preprocessing } from '../backbone/preprocessing.ts';

/**
 * Pixels as a ViT takes them: channels first, in [0, 1], less the mean and over the deviation of each channel.
 * @param rgb height * width * 3 bytes, row-major
 * @param into where to write 3 * height * width floats, from `offset` on
 */
export function normalizePixels(
  rgb: Uint8Array,
  { mean, std, width, height }: Preprocessing,
  into: Float32Array,
  offset: number,
): void {
  const plane = width * height;
  for (let channel = 0; channel < 3; channel++) {
    const scale = 1 / (255 * std[channel]!);
    const shift = -mean[channel]! / std[channel]!;
    const start = offset + channel * plane;
    for (let i = 0; i < plane; i++) into[start + i] = rgb[3 * i + channel]! * scale + shift;
  }
}

/** What happens to a picture between the scene and the file. */
import type { RandomGenerator } from 'pure-rand/types/RandomGenerator';
import { uniform } from '../../../src-main/training/random.ts';

/**
 * Now and then takes the colour away, blurs, weakens the contrast, lights it unevenly, adds noise; levels may end
 * outside 0 to 1.
 * @param pixels [3, side, side], changed in place
 * @returns whether the picture is grey now
 */
export function weather(random: RandomGenerator, pixels: Float32Array, side: number): boolean {
  const area = side * side;
  const grey = uniform(random) < 0.12;
  if (grey) {
    for (let pixel = 0; pixel < area; pixel++) {
      const level = 0.3 * pixels[pixel]! + 0.59 * pixels[area + pixel]! + 0.11 * pixels[2 * area + pixel]!;
      for (let channel = 0; channel < 3; channel++) pixels[channel * area + pixel] = level;
    }
  }
  if (uniform(random) < 0.3) {
    const times = 1 + Math.floor(3 * uniform(random));
    for (let time = 0; time < times; time++) blur(pixels, side);
  }
  const contrast = uniform(random) < 0.5 ? 1 : 0.5 + 0.6 * uniform(random);
  const light = uniform(random) < 0.5 ? 0 : 0.3 * (uniform(random) - 0.5);
  const slope = uniform(random) < 0.3 ? 0.5 * (uniform(random) - 0.5) : 0;
  const noise = uniform(random) < 0.4 ? 0.25 * uniform(random) ** 2 : 0;
  for (let at = 0; at < 3 * area; at++) {
    let level = (pixels[at]! - 0.5) * contrast + 0.5 + light + slope * ((at % side) / side - 0.5);
    if (noise > 0) level += noise * (uniform(random) + uniform(random) - 1);
    pixels[at] = level;
  }
  return grey;
}

/** One pass of [1 2 1] / 4 across and down; the rims are doubled. */
function blur(pixels: Float32Array, side: number): void {
  const before = new Float32Array(side);
  for (let channel = 0; channel < 3; channel++) {
    for (const [step, line] of [
      [1, side],
      [side, 1],
    ] as const) {
      for (let number = 0; number < side; number++) {
        const start = channel * side * side + number * line;
        for (let i = 0; i < side; i++) before[i] = pixels[start + i * step]!;
        for (let i = 0; i < side; i++) {
          const left = before[Math.max(0, i - 1)]!;
          const right = before[Math.min(side - 1, i + 1)]!;
          pixels[start + i * step] = (left + 2 * before[i]! + right) / 4;
        }
      }
    }
  }
}

/** What a side network looks at as one picture: the picture itself, rollout, then each module, darkened where none looks. */
import type { Attention, SeenPicture } from './attention.ts';

/** Pixels between pictures. */
const GAP = 4;
const WHITE = 255;
/** What is left of the light of a patch that receives no attention. */
const DIMMEST = 0.15;
/** Pictures in a line. */
const ACROSS = 7;

/** @returns RGB pixels of all panels, line by line, on white */
export function attentionSheet({ grid, rollout, modules }: Attention, seen: SeenPicture): SeenPicture {
  const panels = [null, rollout.patches, ...modules.map(({ patches }) => patches)];
  const across = Math.min(ACROSS, panels.length);
  const down = Math.ceil(panels.length / across);
  const width = across * (seen.width + GAP) - GAP;
  const height = down * (seen.height + GAP) - GAP;
  const rgb = new Uint8Array(3 * width * height).fill(WHITE);
  panels.forEach((patches, index) => {
    const lit = patches ? dimmed(seen, grid, patches) : seen.rgb;
    const left = (index % across) * (seen.width + GAP);
    const top = Math.floor(index / across) * (seen.height + GAP);
    for (let y = 0; y < seen.height; y++)
      rgb.set(lit.subarray(3 * y * seen.width, 3 * (y + 1) * seen.width), 3 * ((top + y) * width + left));
  });
  return { width, height, rgb };
}

/** The picture with each patch as light as its share is large beside the largest. */
export function dimmed(
  { width, height, rgb }: SeenPicture,
  { rows, columns }: Attention['grid'],
  patches: readonly number[],
): Uint8Array {
  const largest = Math.max(...patches, Number.MIN_VALUE);
  const light = patches.map((share) => DIMMEST + (1 - DIMMEST) * (share / largest));
  return rgb.map((value, index) => {
    const pixel = Math.floor(index / 3);
    const row = Math.floor((Math.floor(pixel / width) * rows) / height);
    const column = Math.floor(((pixel % width) * columns) / width);
    return Math.round(value * light[row * columns + column]!);
  });
}

/** Drawing where a side network looks: the picture, darkened where it does not. */
export interface Shares {
  patches: readonly number[];
}

/** How dark the darkest patch is. */
const DARKEST = 0.85;

/** Darkness of each patch, 0 to `DARKEST`: none at the patch with the largest share, most where there is no share. */
export function veil(patches: readonly number[]): number[] {
  const largest = Math.max(...patches, Number.MIN_VALUE);
  return patches.map((share) => DARKEST * (1 - share / largest));
}

/** Draws the picture over the whole canvas, and over it the veil, patch by patch as they are: nothing is smoothed. */
export function drawAttention(
  canvas: HTMLCanvasElement,
  picture: CanvasImageSource,
  { rows, columns }: { rows: number; columns: number },
  shares: Shares | null,
): void {
  const context = canvas.getContext('2d')!;
  const { width, height } = canvas;
  context.clearRect(0, 0, width, height);
  context.drawImage(picture, 0, 0, width, height);
  if (!shares) return;
  veil(shares.patches).forEach((darkness, patch) => {
    const [row, column] = [Math.floor(patch / columns), patch % columns];
    // Edges fall on whole pixels, so that no seam shows between patches.
    const [left, right] = [column, column + 1].map((edge) => Math.round((edge * width) / columns)) as [number, number];
    const [top, bottom] = [row, row + 1].map((edge) => Math.round((edge * height) / rows)) as [number, number];
    context.fillStyle = `rgb(0 0 0 / ${darkness})`;
    context.fillRect(left, top, right - left, bottom - top);
  });
}

import { themeColours } from './chart-theme.ts';

export interface Drawing {
  /** In CSS pixels, whatever the screen's density. */
  context: CanvasRenderingContext2D;
  /** What a variable of the theme is at the moment. */
  colour: (variable: string) => string;
}

/** Clears a canvas and sizes it, in CSS pixels, to be drawn on in the theme's colours and font. */
export function startDrawing(
  canvas: HTMLCanvasElement | undefined,
  width: number,
  height: number,
): Drawing | undefined {
  const context = canvas?.getContext('2d');
  if (!canvas || !context) return undefined;
  const colour = themeColours();
  canvas.width = width * devicePixelRatio;
  canvas.height = height * devicePixelRatio;
  context.scale(devicePixelRatio, devicePixelRatio);
  context.font = `11px ${colour('--font')}`;
  return { context, colour };
}

/** Of each of so many lines over one another, so that where they are dense can still be told. */
export function opacityOf(lines: number): number {
  return Math.min(0.8, Math.max(0.12, 4 / Math.sqrt(lines)));
}

/**
 * Draws in a task of its own: several pictures of many trials would hold the window up if they were drawn in one.
 * @returns how to let it be, where something newer is to be drawn
 */
export function drawSoon(draw: () => void): () => void {
  const timer = setTimeout(draw);
  return () => clearTimeout(timer);
}

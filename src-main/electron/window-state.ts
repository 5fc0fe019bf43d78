/** Where the window was, kept for the next start, and put where it can be seen. */
import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { writeFileAtomic } from '../workspace/atomic.ts';

const placeSchema = z.object({ x: z.int(), y: z.int(), width: z.int().positive(), height: z.int().positive() });
/** Of a window or a display's work area, in device-independent pixels. */
export type Place = z.infer<typeof placeSchema>;

const windowStateSchema = z.object({ place: placeSchema, maximized: z.boolean() });
export type WindowState = z.infer<typeof windowStateSchema>;

export const SMALLEST = { width: 480, height: 400 } as const;
const USUAL = { width: 1280, height: 840 } as const;

/** So much of the window, in each direction, has to lie on a display for it to be grabbed. */
const GRABBABLE = 96;

/**
 * The state to open with: as it was, moved and shrunk to lie whole on the display that it lies on most; on the first
 * of `displays` (the primary one) where it lies on none that still exists, or was never kept.
 */
export function placeWindow(kept: WindowState | undefined, displays: readonly [Place, ...Place[]]): WindowState {
  const last = kept?.place;
  const home = last && displays.reduce((best, each) => (overlap(last, each) > overlap(last, best) ? each : best));
  if (!last || !home || !isGrabbable(last, home)) {
    return { place: centred(kept?.place ?? USUAL, displays[0]), maximized: kept?.maximized ?? false };
  }
  const { width, height } = fitted(last, home);
  const place = {
    x: Math.min(Math.max(last.x, home.x), home.x + home.width - width),
    y: Math.min(Math.max(last.y, home.y), home.y + home.height - height),
    width,
    height,
  };
  return { place, maximized: kept.maximized };
}

/** What was kept; undefined where nothing was, or nothing that can be read. */
export async function readWindowState(file: string): Promise<WindowState | undefined> {
  try {
    return windowStateSchema.parse(JSON.parse(await readFile(file, 'utf8')));
  } catch {
    return undefined;
  }
}

export async function keepWindowState(file: string, state: WindowState): Promise<void> {
  await writeFileAtomic(file, JSON.stringify(state));
}

function fitted({ width, height }: { width: number; height: number }, display: Place) {
  return {
    width: Math.min(Math.max(width, SMALLEST.width), display.width),
    height: Math.min(Math.max(height, SMALLEST.height), display.height),
  };
}

function centred(wanted: { width: number; height: number }, display: Place): Place {
  const { width, height } = fitted(wanted, display);
  return {
    x: display.x + Math.round((display.width - width) / 2),
    y: display.y + Math.round((display.height - height) / 2),
    width,
    height,
  };
}

function shared(from: number, length: number, otherFrom: number, otherLength: number): number {
  return Math.max(0, Math.min(from + length, otherFrom + otherLength) - Math.max(from, otherFrom));
}

function overlap(a: Place, b: Place): number {
  return shared(a.x, a.width, b.x, b.width) * shared(a.y, a.height, b.y, b.height);
}

function isGrabbable(place: Place, display: Place): boolean {
  return (
    shared(place.x, place.width, display.x, display.width) >= GRABBABLE &&
    shared(place.y, place.height, display.y, display.height) >= GRABBABLE
  );
}

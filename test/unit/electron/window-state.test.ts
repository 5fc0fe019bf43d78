import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { keepWindowState, placeWindow, readWindowState, type Place } from '../../../src-main/electron/window-state.ts';

const laptop: Place = { x: 0, y: 24, width: 1440, height: 876 };
const monitor: Place = { x: 1440, y: -200, width: 2560, height: 1400 };
const state = (x: number, y: number, width = 1000, height = 700, maximized = false) => ({
  place: { x, y, width, height },
  maximized,
});

it('opens in the middle of the primary display at first, no larger than that', () => {
  expect(placeWindow(undefined, [laptop, monitor]).place).toEqual({ x: 80, y: 42, width: 1280, height: 840 });
  const small = { x: 0, y: 0, width: 800, height: 600 };
  expect(placeWindow(undefined, [small]).place).toEqual(small);
});

it('opens where it was, on any display', () => {
  for (const kept of [state(100, 60), state(2000, -150), state(1500, 100, 1200, 900, true)])
    expect(placeWindow(kept, [laptop, monitor])).toEqual(kept);
});

it('opens on the primary display when its own is gone, in its size', () => {
  expect(placeWindow(state(2000, -150, 1000, 700, true), [laptop])).toEqual({
    place: { x: 220, y: 112, width: 1000, height: 700 },
    maximized: true,
  });
});

it('is moved and shrunk until all of it can be seen', () => {
  expect(placeWindow(state(1300, 800), [laptop]).place).toEqual({ x: 440, y: 200, width: 1000, height: 700 });
  expect(placeWindow(state(-500, -10), [laptop]).place).toEqual({ x: 0, y: 24, width: 1000, height: 700 });
  expect(placeWindow(state(10, 30, 5000, 3000), [laptop]).place).toEqual(laptop);
  expect(placeWindow(state(10, 30, 50, 50), [laptop]).place).toMatchObject({ width: 480, height: 400 });
});

it('that hangs by a corner is put on the primary display', () => {
  expect(placeWindow(state(1430, 890), [laptop]).place).toEqual({ x: 220, y: 112, width: 1000, height: 700 });
});

it('is kept in a file; one that cannot be read is as good as none', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'window-'));
  try {
    const file = join(folder, 'deeper', 'window.json');
    expect(await readWindowState(file)).toBeUndefined();
    await keepWindowState(file, state(1, 2, 800, 600, true));
    expect(await readWindowState(file)).toEqual(state(1, 2, 800, 600, true));
    for (const damaged of ['', '{', '{"place":{"x":1e400}}', '[]']) {
      await writeFile(file, damaged);
      expect(await readWindowState(file)).toBeUndefined();
    }
  } finally {
    await rm(folder, { recursive: true });
  }
});

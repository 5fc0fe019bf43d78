import { describe, expect, it } from 'vitest';
import { contentHash, type DatasetImage } from '../../../src-main/data/dataset.ts';
import { lookAt } from '../../../src-main/data/decode/look-at.ts';
import { viewsOf } from '../../../src-main/data/views.ts';

function image(name: string, label: number): DatasetImage {
  const sha256 = `${name}${'0'.repeat(63)}`;
  return { path: `${name}.png`, label, split: 'train', bytes: 1, mtimeMs: 1, sha256 };
}

const images = ['a', 'b', 'c'].map(image);

describe('views of images', () => {
  it('are the images themselves, then mirrored, then crops, each with a place and a hash of its own', () => {
    const all = viewsOf(images, 4);
    expect(viewsOf(images, 1)).toBe(images);
    expect(all.slice(0, 3)).toEqual(images);
    expect(all.map(({ path, label }) => `${path} ${label}`)).toEqual(
      [0, 1, 2, 3].flatMap(() => images.map(({ path, label }) => `${path} ${label}`)),
    );
    expect(new Set(all.map(({ sha256 }) => sha256)).size).toBe(12);
    expect(all[4]!.view).toEqual({ of: images[1]!.sha256, mirrored: true, left: 0, top: 0, width: 1, height: 1 });
    for (const { view } of all.slice(6)) {
      expect(view!.width * view!.height).toBeGreaterThanOrEqual(0.5 - 1e-9);
      expect(view!.left + view!.width).toBeLessThanOrEqual(1 + 1e-9);
      expect(view!.top + view!.height).toBeLessThanOrEqual(1 + 1e-9);
    }
  });

  it('do not depend on the list, so that their features serve wherever the image is', () => {
    const [alone] = viewsOf([images[2]!], 3).slice(2);
    expect(viewsOf(images, 3)[8]).toEqual(alone);
    expect(contentHash(viewsOf(images, 3))).toBe(contentHash(viewsOf(images, 4).slice(0, 9)));
  });
});

describe('looking at a part', () => {
  /** Three pixels wide and two high; each pixel's channels are 10 times its place, and one and two more. */
  const pixels = Uint8Array.from({ length: 18 }, (_, index) => 10 * Math.floor(index / 3) + (index % 3));
  const whole = { pixels, size: { width: 3, height: 2 } };
  const places = (part: ReturnType<typeof lookAt>) =>
    Array.from({ length: part.pixels.length / 3 }, (_, index) => part.pixels[3 * index]! / 10);
  const all = { of: '', mirrored: false, left: 0, top: 0, width: 1, height: 1 };

  it('takes out its pixels, and mirrors rows but not colours', () => {
    expect(places(lookAt(whole, { ...all, mirrored: true }))).toEqual([2, 1, 0, 5, 4, 3]);
    expect([...lookAt(whole, { ...all, mirrored: true }).pixels.slice(0, 3)]).toEqual([20, 21, 22]);
    const part = lookAt(whole, { ...all, left: 1 / 3, top: 0.5, width: 2 / 3, height: 0.5 });
    expect(part.size).toEqual({ width: 2, height: 1 });
    expect(places(part)).toEqual([4, 5]);
  });

  it('shows a pixel at least, inside the picture', () => {
    const part = lookAt(whole, { ...all, left: 1, top: 1, width: 0, height: 0 });
    expect(places(part)).toEqual([5]);
  });
});

import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { placePicture } from '../../../src-main/data/decode/geometry.ts';
import { resample } from '../../../src-main/data/decode/resample.ts';

// Made by fixtures/pil-resize.py with Pillow from the picture below.
const references = z
  .array(z.object({ interpolation: z.enum(['bicubic', 'bilinear']), case: z.array(z.int()), pixels: z.base64() }))
  .parse(JSON.parse(readFileSync(new URL('fixtures/pil-resize.json', import.meta.url), 'utf8')));

function picture(width: number, height: number): Uint8Array {
  return Uint8Array.from({ length: width * height * 3 }, (_, index) => {
    const x = Math.floor(index / 3) % width;
    const y = Math.floor(index / 3 / width);
    return (x * 7 + y * 13 + (index % 3) * 50 + ((x * y) >> 2)) & 255;
  });
}

describe('resample', () => {
  it.each(references)('gives the pixels of PIL: $interpolation $case', ({ interpolation, case: sizes, pixels }) => {
    const [width, height, resizedWidth, resizedHeight, left, top, keptWidth, keptHeight] = sizes as [
      ...[number, number, number, number, number, number, number, number],
    ];
    const result = resample(
      picture(width, height),
      { width, height },
      { width: resizedWidth, height: resizedHeight },
      interpolation,
      { left, top, width: keptWidth, height: keptHeight },
    );
    expect(Buffer.from(result).toString('base64')).toBe(pixels);
  });

  it('leaves a picture of the wanted size as it is', () => {
    const pixels = picture(9, 7);
    expect([...resample(pixels, { width: 9, height: 7 }, { width: 9, height: 7 }, 'bicubic')]).toEqual([...pixels]);
  });
});

describe('placePicture', () => {
  const target = { width: 224, height: 224, interpolation: 'bicubic' } as const;

  it('squashes to the target', () => {
    expect(placePicture({ width: 500, height: 300 }, { ...target, fit: 'squash', cropPct: 0.9 })).toEqual({
      resized: { width: 224, height: 224 },
      window: { left: 0, top: 0, width: 224, height: 224 },
    });
  });

  it('crops as timm does: floor(224 / 0.9) = 248, then the centre', () => {
    expect(placePicture({ width: 500, height: 300 }, { ...target, fit: 'crop', cropPct: 0.9 })).toEqual({
      resized: { width: 413, height: 248 },
      window: { left: 94, top: 12, width: 224, height: 224 },
    });
    expect(placePicture({ width: 300, height: 500 }, { ...target, fit: 'crop', cropPct: 1 })).toEqual({
      resized: { width: 224, height: 373 },
      window: { left: 0, top: 74, width: 224, height: 224 },
    });
  });
});

import { describe, expect, it } from 'vitest';
import { choosePreprocessing } from '../../../src-main/backbone/preprocessing.ts';

const model = { imageWidth: 224, imageHeight: 224 };

describe('choosePreprocessing', () => {
  it('is the VTAB protocol’s where nothing is chosen', () => {
    expect(choosePreprocessing(model, { mean: undefined })).toEqual({
      width: 224,
      height: 224,
      mean: [0.5, 0.5, 0.5],
      std: [0.5, 0.5, 0.5],
      fit: 'squash',
      cropPct: 1,
      interpolation: 'bicubic',
    });
  });

  it('takes choices', () => {
    const choice = {
      mean: [0.48, 0.46, 0.41],
      fit: 'crop',
      cropPct: 0.9,
      interpolation: 'bilinear',
      size: 224,
    } as const;
    const { size, ...kept } = choice;
    expect(size).toBe(224);
    expect(choosePreprocessing(model, { ...choice, mean: [...choice.mean] })).toMatchObject(kept);
  });

  it.each([
    [{ cropPct: 0 }, /cropPct should be a number above 0/],
    [{ std: [0.5, 0, 0.5] as [number, number, number] }, /std should be three numbers above 0/],
    [{ mean: [0.5, NaN, 0.5] as [number, number, number] }, /mean should be three numbers/],
    [{ size: 384 }, /takes images of 224 x 224 pixels, not 384 x 384/],
  ])('refuses %j', (choice, sentence) => {
    expect(() => choosePreprocessing(model, choice)).toThrow(sentence);
  });
});

/** How images become a backbone's pixels: part of every cache key and of every export. */
import { z } from 'zod';
import { Failure } from '../base/failure.ts';

const channels = z.tuple([z.number(), z.number(), z.number()]);

const changeable = z.strictObject({
  /** Subtracted from channels in [0, 1], red first. */
  mean: channels,
  /** What the difference is divided by. */
  std: z.tuple([z.number().positive(), z.number().positive(), z.number().positive()]),
  /** `squash`: resized to the model's size whatever its shape; `crop`: shorter side to size / cropPct, then the centre. */
  fit: z.enum(['squash', 'crop']),
  /** Side of the centre crop over the shorter side; used with `crop` alone. */
  cropPct: z.number().gt(0).lte(1),
  interpolation: z.enum(['bicubic', 'bilinear']),
});

/** Width and height in pixels are the model's. */
export const PreprocessingSchema = changeable.extend({
  width: z.int().positive(),
  height: z.int().positive(),
});
export type Preprocessing = z.infer<typeof PreprocessingSchema>;

/** What a user may say about it; `size` only to be told early that the model takes another. */
export const preprocessingChoiceSchema = changeable.partial().extend({ size: z.int().positive().optional() });
export type PreprocessingChoice = z.infer<typeof preprocessingChoiceSchema>;

const DEFAULTS: z.infer<typeof changeable> = {
  mean: [0.5, 0.5, 0.5],
  std: [0.5, 0.5, 0.5],
  fit: 'squash',
  cropPct: 1,
  interpolation: 'bicubic',
};

const EXPECTED: Readonly<Record<string, string>> = {
  mean: 'three numbers',
  std: 'three numbers above 0',
  fit: 'squash or crop',
  cropPct: 'a number above 0, at most 1',
  interpolation: 'bicubic or bilinear',
};

/**
 * The preprocessing of a model for images of width x height pixels, with the defaults of the VTAB protocol (squash,
 * bicubic, channels to [-1, 1]) where the choice is silent. Failure, naming the setting, where a choice is out of bounds.
 */
export function choosePreprocessing(
  model: { imageWidth: number; imageHeight: number },
  { size, ...choice }: PreprocessingChoice = {},
): Preprocessing {
  const { imageWidth: width, imageHeight: height } = model;
  if (size !== undefined && (size !== width || size !== height)) {
    throw new Failure(
      'bad-preprocessing',
      `The backbone takes images of ${width} x ${height} pixels, not ${size} x ${size}: leave the size out, or export the model for ${size} pixels.`,
    );
  }
  const given = Object.fromEntries(Object.entries<unknown>(choice).filter(([, value]) => value !== undefined));
  const checked = PreprocessingSchema.safeParse({ ...DEFAULTS, ...given, width, height });
  if (checked.success) return checked.data;
  const setting = String(checked.error.issues[0]?.path[0] ?? 'preprocessing');
  throw new Failure(
    'bad-preprocessing',
    `The preprocessing setting ${setting} should be ${EXPECTED[setting] ?? 'one of the known ones'}.`,
  );
}

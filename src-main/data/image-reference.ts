import { z } from 'zod';
import { Failure } from '../base/failure.ts';

/** How a picture is looked at where that is not as a whole: a part of it, in fractions of its sides. */
export const viewSchema = z.object({
  /** Hash of the picture's content. */
  of: z.string(),
  /** Left to right. */
  mirrored: z.boolean(),
  left: z.number(),
  top: z.number(),
  width: z.number(),
  height: z.number(),
});
export type View = z.infer<typeof viewSchema>;

/** Where a picture is: a file of its own, or an entry of a packed one (a row of a parquet file, an item of an IDX file). */
export const imageReferenceSchema = z.object({
  path: z.string(),
  /** Counted from 0; only in packed files. */
  entry: z.int().nonnegative().optional(),
  /** The whole, as it is, where absent. */
  view: viewSchema.optional(),
});
export type ImageReference = z.infer<typeof imageReferenceSchema>;

/** A picture by where it is, or, with `encoded`, the encoded picture itself, whose path is then only what it is called. */
export const pictureSchema = imageReferenceSchema.extend({
  encoded: z.custom<Uint8Array>((value) => value instanceof Uint8Array).optional(),
  /** Pixels that it may have at most, where that is fewer than any picture may have. */
  mostPixels: z.number().positive().optional(),
});
export type Picture = z.infer<typeof pictureSchema>;

/** `"a.png"` or `"b.parquet" (row 17)`: as sentences name it. */
export function nameOfImage({ path, entry }: ImageReference): string {
  return entry === undefined ? `"${path}"` : `"${path}" (row ${entry})`;
}

/** `a.png` or `b.parquet#17`: as tables name it. */
export function pathOfImage({ path, entry }: ImageReference): string {
  return entry === undefined ? path : `${path}#${entry}`;
}

/** The sentence for a picture that cannot be had, with the reason in words that go on after a colon. */
export function unreadableImage(image: ImageReference, reason: string, cause?: unknown): Failure {
  return new Failure('image', `${nameOfImage(image)} cannot be read as an image: ${reason}.`, { cause });
}

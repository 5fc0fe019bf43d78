import { z } from 'zod';
import type { Picture } from '../image-reference.ts';

export const decodeTargetSchema = z.object({
  width: z.int().positive(),
  height: z.int().positive(),
  /** `squash`: resize to width x height; `crop`: shorter side to size / cropPct, then the centre. */
  fit: z.enum(['squash', 'crop']),
  cropPct: z.number().positive().max(1),
  interpolation: z.enum(['bicubic', 'bilinear']),
});

/** The size a picture is wanted in, and how it gets there. */
export type DecodeTarget = z.infer<typeof decodeTargetSchema>;

/** Turns image files into pixels, several at a time; it may live in a process of its own. */
export interface Decoder {
  /**
   * The picture as a viewer shows it (turned upright, on white, 8-bit sRGB, first frame), resized as PIL would.
   * @returns RGB, height * width * 3 bytes, row-major
   * @throws Failure `image`: one sentence that names the file and says why it cannot be read
   */
  decode(image: Picture, target: DecodeTarget): Promise<Uint8Array>;
  /**
   * A small picture of the whole, as a viewer shows it; never larger than the picture itself.
   * @param longest side in pixels
   * @returns JPEG
   * @throws Failure as `decode`
   */
  thumbnail(image: Picture, longest: number): Promise<Uint8Array>;
  /**
   * Decodes a picture to see that it can be.
   * @returns the hash of its content; see `hashContent`
   * @throws Failure as `decode`
   */
  check(image: Picture): Promise<string>;
  /** Ends the decoder; what is still in flight fails. */
  close(): Promise<void>;
}

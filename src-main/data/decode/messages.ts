import { z } from 'zod';
import { pictureSchema } from '../image-reference.ts';
import { decodeTargetSchema } from './decoder.ts';

/** To the decoder process: decode this, for its pixels, for a small picture of it or, without either, to see that it can be. */
export const requestSchema = z.object({
  id: z.int(),
  image: pictureSchema,
  target: decodeTargetSchema.optional(),
  thumbnail: z.int().positive().optional(),
});

/** From the decoder process: it is ready; a picture; a small one, as JPEG; the hash of one that is good; or why there is none. */
export const replySchema = z.union([
  z.object({ ready: z.literal(true) }),
  z.object({ id: z.int(), pixels: z.custom<Uint8Array>((value) => value instanceof Uint8Array) }),
  z.object({ id: z.int(), jpeg: z.custom<Uint8Array>((value) => value instanceof Uint8Array) }),
  z.object({ id: z.int(), sha256: z.string() }),
  z.object({ id: z.int(), failure: z.object({ code: z.string(), message: z.string() }) }),
]);

export type DecodeRequest = z.infer<typeof requestSchema>;
export type DecodeReply = z.infer<typeof replySchema>;

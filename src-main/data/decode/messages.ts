import { z } from 'zod';
import { decodeTargetSchema } from './decoder.ts';

/** To the decoder process: decode this. */
export const requestSchema = z.object({ id: z.int(), path: z.string(), target: decodeTargetSchema });

/** From the decoder process: it is ready; a picture; or why there is none. */
export const replySchema = z.union([
  z.object({ ready: z.literal(true) }),
  z.object({ id: z.int(), pixels: z.custom<Uint8Array>((value) => value instanceof Uint8Array) }),
  z.object({ id: z.int(), failure: z.object({ code: z.string(), message: z.string() }) }),
]);

export type DecodeRequest = z.infer<typeof requestSchema>;
export type DecodeReply = z.infer<typeof replySchema>;

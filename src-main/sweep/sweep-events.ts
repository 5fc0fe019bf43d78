import { z } from 'zod';
import { resultSchema } from '../training/run-folder.ts';
import { pointSchema, sweepConfigSchema } from './sweep-config.ts';

/* What happens in a sweep, in order: the lines of its log. Each stands for itself, so that one which is lost takes none along. */

/** A trial as `train` prints a run; test is never read. A failed one may lack all that only an epoch tells. */
export const trialResultSchema = resultSchema.extend({ loss: z.number().nullable(), bestEpoch: z.int().nullable() });
export type TrialResult = z.infer<typeof trialResultSchema>;

/** A trial that goes on with another, from where that has ended, for so many epochs more. */
export const extensionSchema = z.object({ of: z.int().min(0), by: z.int().min(1) });
export type Extension = z.infer<typeof extensionSchema>;

export const endSchema = z.object({
  event: z.literal('end'),
  trial: z.int(),
  state: z.enum(['done', 'pruned', 'failed']),
  /** Why it was pruned or has failed. */
  reason: z.string().optional(),
  result: trialResultSchema.nullable(),
});
export type TrialEnd = z.infer<typeof endSchema>;

export const epochEventSchema = z.object({
  event: z.literal('epoch'),
  trial: z.int(),
  /** From 1. */
  epoch: z.int(),
  loss: z.number(),
  /** On val. */
  top1: z.number(),
  valLoss: z.number(),
});
export type EpochEvent = z.infer<typeof epochEventSchema>;

export const sweepEventSchema = z.discriminatedUnion('event', [
  z.object({ event: z.literal('sweep'), config: sweepConfigSchema }),
  z.object({ event: z.literal('trial'), trial: z.int(), point: pointSchema, extension: extensionSchema.optional() }),
  epochEventSchema,
  endSchema,
  /** What a process has spent on the sweep, in seconds. */
  z.object({ event: z.literal('spent'), extract: z.number(), total: z.number() }),
  /** The run that trains the winner on train and val. */
  z.object({ event: z.literal('retraining'), run: z.string() }),
  /** All is done; the best trial's run, with its score on test where that was read for it. */
  z.object({ event: z.literal('closed'), best: resultSchema.nullable(), retrained: resultSchema.nullable() }),
]);
export type SweepEvent = z.infer<typeof sweepEventSchema>;

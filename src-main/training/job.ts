import { z } from 'zod';
import { featureSetSchema } from '../features/feature-set.ts';
import { configSchema, epochSchema, resultSchema } from './run-folder.ts';

/* What the process that trains is told, and what it tells: plain data, checked on arrival. */

const floats = z.custom<Float32Array>((value) => value instanceof Float32Array);
const labelled = z.object({ features: featureSetSchema, labels: z.array(z.int().min(0)).readonly() });

export const jobSchema = z.object({
  config: configSchema,
  /** Folder of the run. */
  folder: z.string(),
  frozen: z.object({
    layout: z.object({ tokens: z.int(), width: z.int(), prefix: z.int() }),
    blocks: z.int(),
    norm: z.object({ scale: floats, shift: floats, epsilon: z.number() }),
    classes: z.int(),
  }),
  train: labelled,
  val: labelled.nullable(),
  test: labelled.nullable(),
  /** Whether to go on from the run's checkpoint. */
  resume: z.boolean(),
});
export type TrainingJob = z.infer<typeof jobSchema>;

export const outcomeSchema = resultSchema
  .pick({ epochs: true, loss: true, bestEpoch: true, val: true, test: true })
  .extend({
    seconds: z.number(),
    peakRssBytes: z.number(),
  });
export type TrainingOutcome = z.infer<typeof outcomeSchema>;

/** How training gets on, several times a second. */
export const paceSchema = z.object({
  /** Images, of all epochs. */
  done: z.number(),
  total: z.number(),
  /** Since the report before. */
  imagesPerSecond: z.number(),
  /** Of the process that trains. */
  rssBytes: z.number(),
  /** Of it, in use by JavaScript. */
  heapBytes: z.number(),
  /** Of it, not JavaScript's: onnxruntime and its buffers. */
  nativeBytes: z.number(),
});
export type Pace = z.infer<typeof paceSchema>;

const lane = z.int().min(0);

export const toTrainer = z.discriminatedUnion('kind', [
  /** To be trained as lanes, each of which is named by its place from here on. */
  z.object({ kind: z.literal('train'), jobs: z.array(jobSchema).min(1) }),
  z.object({ kind: z.literal('stop'), lane }),
]);
export type ToTrainer = z.infer<typeof toTrainer>;

export const fromTrainer = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('ready') }),
  z.object({ kind: z.literal('progress'), lane, pace: paceSchema }),
  z.object({ kind: z.literal('epoch'), lane, metrics: epochSchema }),
  z.object({ kind: z.literal('done'), lane, outcome: outcomeSchema }),
  z.object({ kind: z.literal('stopped'), lane }),
  z.object({
    kind: z.literal('failed'),
    lane,
    code: z.string(),
    message: z.string(),
    stack: z.string().optional(),
  }),
]);
export type FromTrainer = z.infer<typeof fromTrainer>;

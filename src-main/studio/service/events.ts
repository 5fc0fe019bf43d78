/** What the studio tells without being asked: how jobs get on, epochs as they end, and what has changed. */
import { z } from 'zod';
import { sweepEventSchema } from '../../sweep/sweep-events.ts';
import { paceSchema } from '../../training/job.ts';
import { epochSchema } from '../../training/run-folder.ts';
import { shownServerSchema } from '../edge/window-server.ts';

/** An error as it travels: the sentence for the user, and a code to tell kinds apart by. */
export const studioErrorSchema = z.object({ code: z.string(), message: z.string() });
export type StudioError = z.infer<typeof studioErrorSchema>;

export const jobKinds = [
  'import',
  'sample',
  'backbone',
  'train',
  'sweep',
  'evaluate',
  'export',
  'tradeoff',
  'mlflow',
] as const;
export type JobKind = (typeof jobKinds)[number];

export const jobSchema = z.object({
  id: z.string(),
  kind: z.enum(jobKinds),
  /** The dataset, file or run that it is about. */
  subject: z.string(),
  /** `paused` was asked for; `interrupted` came about when the studio ended in the middle. Both can be resumed. */
  state: z.enum(['waiting', 'running', 'done', 'failed', 'stopped', 'paused', 'interrupted']),
  progress: z.object({ task: z.string(), done: z.number(), total: z.number(), unit: z.string() }).nullable(),
  /** The run that a training job has made, the sweep that one is about, or the table of accuracy against transfer. */
  run: z.string().nullable(),
  error: studioErrorSchema.nullable(),
  /** By kind: a dataset's summary, a backbone's description, a run's result, an evaluation, an export, a table, what MLflow has. */
  result: z.unknown(),
  queued: z.iso.datetime(),
  started: z.iso.datetime().nullable(),
  ended: z.iso.datetime().nullable(),
});
export type Job = z.infer<typeof jobSchema>;

export const studioEventSchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('job'), job: jobSchema }),
  z.object({ type: z.literal('job-gone'), id: z.string() }),
  z.object({ type: z.literal('epoch'), run: z.string(), metrics: epochSchema, epochs: z.int() }),
  paceSchema.extend({
    type: z.literal('pace'),
    run: z.string(),
    /** Resident memory of the studio's own process, which holds the ViT. */
    vitRssBytes: z.number(),
  }),
  /** A line of a sweep's log. */
  z.object({ type: z.literal('sweep'), sweep: z.string(), event: sweepEventSchema }),
  /** How the server that the window has started gets on; null once it has stopped. */
  z.object({ type: z.literal('edge'), server: shownServerSchema.nullable() }),
  /** What a user should know of a job, though it goes on. */
  z.object({ type: z.literal('remark'), sentence: z.string() }),
  z.object({ type: z.literal('changed'), what: z.enum(['datasets', 'backbones', 'runs', 'sweeps']) }),
  /** Tables of accuracy against transfer have changed. */
  z.object({ type: z.literal('tradeoffs') }),
]);
export type StudioEvent = z.infer<typeof studioEventSchema>;

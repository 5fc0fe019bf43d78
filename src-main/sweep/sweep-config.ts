import { z } from 'zod';
import { PRUNERS } from './pruner.ts';
import { SAMPLERS } from './sampler.ts';

/** Trials that a process may train together: beyond what anybody gains by. */
export const MOST_LANES = 64;

const value = z.union([z.string(), z.number()]);
const when = z.object({ name: z.string(), values: z.array(value).readonly() }).optional();
const dimension = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('choice'), name: z.string(), values: z.array(value).min(1).readonly(), when }),
  z.object({
    kind: z.enum(['int', 'float']),
    name: z.string(),
    min: z.number(),
    max: z.number(),
    scale: z.enum(['linear', 'log']),
    when,
  }),
]);
export const pointSchema = z.record(z.string(), value);

/** All that a sweep was asked for and that its numbers depend on: what sweep.json keeps, and `--resume` goes by. */
export const sweepConfigSchema = z.object({
  version: z.literal(1),
  sweep: z.string(),
  created: z.iso.datetime(),
  dataset: z.string(),
  /** Lines of the dataset's log of edits that it began with; none where absent. */
  datasetEdits: z.int().nonnegative().optional(),
  backbone: z.string(),
  backboneSha256: z.string(),
  /** Of the images' contents and labels in order. */
  data: z.object({ train: z.string(), val: z.string() }),
  classes: z.array(z.string()).min(2),
  space: z.array(dimension).readonly(),
  /** Settings that are the same in every trial. */
  fixed: z.record(z.string(), z.unknown()),
  sampler: z.enum(SAMPLERS),
  pruner: z.enum(PRUNERS),
  seed: z.int().min(0),
  /** Trials to begin with; more may be asked for later. */
  trials: z.int().min(1),
  /** Processes that train at a time, to begin with. */
  parallel: z.int().min(1),
  /** Trials of a kind that a process trains together, at most; how many changes no number. */
  lanes: z.int().min(1).max(MOST_LANES).default(1),
  /** Of each trial's engine: fixed, so that the number of trials at a time changes no number. */
  threads: z.int().min(1),
  /** Bytes that trials which run together may take; null for no bound. */
  memory: z.number().positive().nullable(),
  /** Trials that lie between one and the newest whose outcome it may know; null where whatever has ended counts. */
  lag: z.int().min(1).nullable(),
  /** Whether the winner is trained again on train and val together. */
  retrain: z.boolean(),
  noTest: z.boolean(),
  engine: z.enum(['compiled', 'eager']),
  device: z.literal('cpu'),
  /** How a step is computed, by method. */
  stepForms: z.record(z.string(), z.enum(['plain', 'low-rank'])),
});
export type SweepConfig = z.infer<typeof sweepConfigSchema>;

/** What is kept of each task and method, so that the same command goes on where it was cut short: `vtab/<entry>/vtab.json`. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { METHODS, type Method } from '../../training/settings.ts';
import { writeFileAtomic } from '../../workspace/atomic.ts';
import { safeName } from '../../workspace/names.ts';
import { parseSealed, sealed } from '../../workspace/record.ts';
import type { Workspace } from '../../workspace/workspace.ts';
import { hashesOf } from '../plan-run.ts';
import type { SweepPlan } from '../sweeps/plan-sweep.ts';

const resultSchema = z.object({
  task: z.string(),
  method: z.enum(METHODS),
  /** Fractions: on test, of the run trained on train and val; and on val, of the trial that was chosen. */
  top1: z.number(),
  val: z.number(),
  settings: z.record(z.string(), z.unknown()),
  /** Of those, the ones that were searched over. */
  chosen: z.record(z.string(), z.union([z.string(), z.number()])),
  /** Of the whole of it: trials, training on all images, test. */
  seconds: z.number(),
  parameters: z.int(),
  headParameters: z.int(),
  /** The largest of all processes that trained or held the ViT. */
  peakRssBytes: z.number(),
  trials: z.int(),
  classes: z.int(),
  testImages: z.int(),
  sweep: z.string(),
  /** The run that was read on test. */
  run: z.string(),
});
/** What came of a task with a method. */
export type TaskResult = z.infer<typeof resultSchema>;

const recordSchema = z.object({
  version: z.literal(1),
  task: z.string(),
  method: z.enum(METHODS),
  /** Of the task. */
  folder: z.string(),
  created: z.iso.datetime(),
  /** The sweep that chooses its settings; it goes on where it was cut short. */
  sweep: z.string(),
  /** Null until test was read. */
  result: resultSchema.nullable(),
});
export type TaskRecord = z.infer<typeof recordSchema>;

/**
 * The folder of a task and a method: named by all that its numbers depend on, so that asking again finds it, and another
 * grid, backbone, seed or image makes another.
 */
export function entryFolder(workspace: Workspace, task: string, method: Method, { run, config }: SweepPlan): string {
  const { backboneSha256, classes, space, fixed, seed, engine, device } = config;
  const told = { data: hashesOf(run.splits), backboneSha256, classes, space, fixed, seed, engine, device };
  const key = createHash('sha256').update(JSON.stringify(told)).digest('hex').slice(0, 12);
  return workspace.vtabEntry(safeName(`${task.slice(0, LONGEST_TASK_PART)}-${method}-${key}`));
}

const LONGEST_TASK_PART = 40;

/** Undefined where it has not begun, or the file is damaged: then it begins again. */
export async function readTaskRecord(folder: string): Promise<TaskRecord | undefined> {
  try {
    return recordSchema.parse(parseSealed(await readFile(recordPath(folder), 'utf8')));
  } catch {
    return undefined;
  }
}

export async function writeTaskRecord(folder: string, record: TaskRecord): Promise<void> {
  await writeFileAtomic(recordPath(folder), `${JSON.stringify(sealed(record), null, 2)}\n`);
}

function recordPath(folder: string): string {
  return join(folder, 'vtab.json');
}

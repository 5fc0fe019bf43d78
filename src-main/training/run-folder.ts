import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { Failure } from '../base/failure.ts';
import { makeFolder } from '../base/make-folder.ts';
import { appendJsonLine, errorCode, readJsonLines, writeFileAtomic } from '../workspace/atomic.ts';
import { parseSealed, sealed, unsealed } from '../workspace/record.ts';
import type { Workspace } from '../workspace/workspace.ts';
import { settingsSchema } from './settings.ts';
import { TRAIN_ON } from './split-images.ts';

/* A run in the workspace: config.json, metrics.jsonl, checkpoint.safetensors (last), best.safetensors, seconds.json, result.json. */

export const configSchema = z.object({
  version: z.literal(1),
  run: z.string(),
  created: z.iso.datetime(),
  dataset: z.string(),
  /** Lines of the dataset's log of edits that it trained with, none where absent: later ones change nothing for it. */
  datasetEdits: z.int().nonnegative().optional(),
  backbone: z.string(),
  backboneSha256: z.string(),
  /** Of the images' contents and labels in order, by split: what a resumed run must find again. */
  data: z.object({ train: z.string(), val: z.string(), test: z.string() }),
  classes: z.array(z.string()).min(1),
  /** Elements in the side network, and in the head. */
  parameters: z.int(),
  headParameters: z.int(),
  settings: settingsSchema,
  /** Whether the test split is left unread. */
  noTest: z.boolean(),
  /** Which splits it learns from, train alone where it is not said; with val among them there is nothing to choose an epoch by, and the last is kept. */
  trainOn: z.enum(TRAIN_ON).optional(),
  /** Epochs after which the learning rate climbs anew, rising; none where absent. */
  restarts: z.array(z.int().min(1)).optional(),
  engine: z.string(),
  device: z.string(),
  threads: z.int().min(1),
  stepForm: z.enum(['plain', 'low-rank']),
  microBatch: z.int().min(1),
  /** Divisor of each stored map, in the network's order: a power of two. */
  scales: z.array(z.number().positive()),
});
export type RunConfig = z.infer<typeof configSchema>;

export const scoreSchema = z.object({ top1: z.number(), macro: z.number() });
export type Score = z.infer<typeof scoreSchema>;

/** One line of metrics.jsonl. Strict: a checksum whose own name is damaged must not pass for none. */
export const epochSchema = z.strictObject({
  epoch: z.int(),
  /** Training loss, mean over the epoch. */
  loss: z.number(),
  /** Share of the training images that were right as they went through, modules dropped; older runs lack it. */
  top1: z.number().optional(),
  learningRate: z.number(),
  val: scoreSchema.extend({ loss: z.number() }).nullable(),
  seconds: z.number(),
  rssBytes: z.number(),
});
export type EpochMetrics = z.infer<typeof epochSchema>;

/** What `train` prints and result.json keeps; fractions 0 to 1, seconds, bytes. */
export const resultSchema = z.object({
  run: z.string(),
  method: z.enum(['linear', 'last', 'miet']),
  dataset: z.string(),
  backbone: z.string(),
  parameters: z.int(),
  headParameters: z.int(),
  epochs: z.int(),
  loss: z.number(),
  bestEpoch: z.int(),
  val: scoreSchema.nullable(),
  test: scoreSchema.nullable(),
  seconds: z.object({ extract: z.number(), train: z.number(), total: z.number() }),
  peakRssBytes: z.object({ trainer: z.number(), vit: z.number().nullable() }),
  featureBytesPerImage: z.number(),
  engine: z.string(),
  device: z.string(),
  settings: z.record(z.string(), z.unknown()),
});
export type RunResult = z.infer<typeof resultSchema>;

export const runFiles = {
  config: 'config.json',
  metrics: 'metrics.jsonl',
  checkpoint: 'checkpoint.safetensors',
  best: 'best.safetensors',
  result: 'result.json',
  seconds: 'seconds.json',
  lock: 'lock',
  /** Of the process that writes the files above: it may outlive the one that holds the run for a moment. */
  trainerLock: 'trainer.lock',
} as const;

/** Path of one of a run's files. */
export function runFile(workspace: Workspace, run: string, file: keyof typeof runFiles): string {
  return join(workspace.run(run), runFiles[file]);
}

/** Of a run id, so that the whole of it stays a valid name. */
const LONGEST_DATASET_PART = 40;

/** Takes a fresh run id, readable and sortable (dataset, method, time), by making its folder: nobody else gets it. */
export async function claimRunId(
  workspace: Workspace,
  method: string,
  dataset: string,
  now = new Date(),
): Promise<string> {
  const stamp = now.toISOString().slice(0, 19).replaceAll(/[-:]/g, '').replace('T', '-');
  await makeFolder(workspace.runs);
  for (let n = 1; ; n++) {
    const id = `${dataset.slice(0, LONGEST_DATASET_PART)}-${method}-${stamp}${n === 1 ? '' : `-${n}`}`;
    try {
      await mkdir(workspace.run(id));
      return id;
    } catch (error) {
      if (errorCode(error) !== 'EEXIST') throw error;
    }
  }
}

export async function writeConfig(workspace: Workspace, config: RunConfig): Promise<void> {
  await writeConfigIn(workspace.run(config.run), config);
}

/** As `writeConfig`, into a folder that need not be among the runs. */
export async function writeConfigIn(folder: string, config: RunConfig): Promise<void> {
  await writeFileAtomic(join(folder, runFiles.config), `${JSON.stringify(sealed(config), null, 2)}\n`);
}

/** The config in a folder that need not be among the runs. @throws SyntaxError, RangeError or a system's error */
export async function readConfigIn(folder: string): Promise<RunConfig> {
  return configSchema.parse(parseSealed(await readFile(join(folder, runFiles.config), 'utf8')));
}

/** @throws Failure `no-run` or `damaged-file`. */
export async function readConfig(workspace: Workspace, run: string): Promise<RunConfig> {
  const advice = `put it back from a copy, or remove the run with "sidetune runs remove ${run}"`;
  return readRecord(runFile(workspace, run, 'config'), configSchema, run, advice);
}

export async function writeResult(workspace: Workspace, result: RunResult): Promise<void> {
  await writeFileAtomic(runFile(workspace, result.run, 'result'), `${JSON.stringify(sealed(result), null, 2)}\n`);
}

/** The result of a finished run; null while it is not finished. */
export async function readResult(workspace: Workspace, run: string): Promise<RunResult | null> {
  try {
    const advice = `delete it, and "sidetune train --resume ${run}" writes it anew`;
    return await readRecord(runFile(workspace, run, 'result'), resultSchema, run, advice);
  } catch (error) {
    if (error instanceof Failure && error.code === 'no-run') return null;
    throw error;
  }
}

/**
 * Lines of metrics.jsonl up to `lastEpoch`: a line may be ahead of the checkpoint when a run was killed.
 * @throws Failure `damaged-file`
 */
export async function readMetrics(path: string, lastEpoch = Infinity): Promise<EpochMetrics[]> {
  const lines = (await readJsonLines(path)).map((line, index) => parseEpoch(line, index + 1, path));
  return lines.filter((line) => line.epoch <= lastEpoch);
}

function parseEpoch(line: unknown, epoch: number, path: string): EpochMetrics {
  try {
    const metrics = epochSchema.parse(unsealed(line));
    if (metrics.epoch === epoch) return metrics;
  } catch (error) {
    throw new Failure('damaged-file', `Line ${epoch} of "${path}" is damaged: put the file back from a copy.`, {
      cause: error,
    });
  }
  throw new Failure(
    'damaged-file',
    `Line ${epoch} of "${path}" is not of epoch ${epoch}: put the file back from a copy.`,
  );
}

export async function appendMetrics(path: string, metrics: EpochMetrics): Promise<void> {
  await appendJsonLine(path, sealed(metrics));
}

/** Puts the file in the state after `history`. */
export async function writeMetrics(path: string, history: readonly EpochMetrics[]): Promise<void> {
  await writeFileAtomic(path, history.map((line) => `${JSON.stringify(sealed(line))}\n`).join(''));
}

/** Ids of all runs that have a config, oldest first. */
export async function listRuns(workspace: Workspace): Promise<RunConfig[]> {
  const configs: RunConfig[] = [];
  for (const run of await workspace.list('runs')) {
    try {
      configs.push(await readConfig(workspace, run));
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
    }
  }
  return configs.sort((a, b) => a.created.localeCompare(b.created) || a.run.localeCompare(b.run));
}

async function readRecord<T>(path: string, schema: z.ZodType<T>, run: string, advice: string): Promise<T> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    throw new Failure(
      'no-run',
      `There is no run "${run}" in this workspace: "sidetune runs list" shows those there are.`,
      { cause: error },
    );
  }
  try {
    return schema.parse(parseSealed(text));
  } catch (error) {
    throw new Failure('damaged-file', `"${path}" is damaged: ${advice}.`, { cause: error });
  }
}

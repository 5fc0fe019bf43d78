/* Where a run stands, in memory and in its folder. */
import { join } from 'node:path';
import { exists } from '../base/exists.ts';
import { advised, Failure } from '../base/failure.ts';
import type { Engine } from '../engine/program.ts';
import {
  readCheckpoint,
  readCheckpointMetadata,
  writeCheckpoint,
  writeParameters,
  type Checkpoint,
} from './checkpoint.ts';
import type { TrainingJob } from './job.ts';
import { linearProbe } from './linear-probe.ts';
import type { Optimizer } from './optimizer.ts';
import type { ParameterLayout } from './parameters.ts';
import { appendMetrics, readMetrics, runFiles, writeMetrics, type EpochMetrics, type Score } from './run-folder.ts';

/** The epoch whose parameters are kept as the run's best. */
interface Best {
  epoch: number;
  val: Score | null;
}

/** Where a run stands. */
export interface Standing {
  checkpoint: Checkpoint;
  best: Best | undefined;
  history: EpochMetrics[];
}

/** Where a job begins: where it was cut off if it is to go on, else at its start. @throws Failure `damaged-file` */
export async function startOf(
  engine: Engine,
  job: TrainingJob,
  layout: ParameterLayout,
  signal: AbortSignal | undefined,
): Promise<Standing> {
  const standing =
    (job.resume ? await standingOf(job, layout) : undefined) ?? (await newStanding(engine, job, layout, signal));
  // Lines of an epoch whose checkpoint was lost are written again.
  await writeMetrics(fileOf(job, 'metrics'), standing.history);
  return standing;
}

/** Writes what an epoch gave; the checkpoint last, so that a run cut off before it does the epoch again. */
export async function keepEpoch(
  job: TrainingJob,
  layout: ParameterLayout,
  standing: Standing,
  { parameters, mean, variance }: Pick<Optimizer, 'parameters' | 'mean' | 'variance'>,
  metrics: EpochMetrics,
): Promise<void> {
  const { epoch } = metrics;
  const val = metrics.val && { top1: metrics.val.top1, macro: metrics.val.macro };
  if (!standing.best?.val || !val || val.top1 > standing.best.val.top1) {
    standing.best = { epoch, val };
    const score: Record<string, string> = val ? { top1: String(val.top1), macro: String(val.macro) } : {};
    await writeParameters(fileOf(job, 'best'), layout, parameters, { epoch: String(epoch), ...score });
  }
  await appendMetrics(fileOf(job, 'metrics'), metrics);
  const checkpoint = { epoch, parameters, mean, variance };
  await writeCheckpoint(fileOf(job, 'checkpoint'), layout, checkpoint, { run: job.config.run });
  standing.history.push(metrics);
}

export function fileOf({ folder }: TrainingJob, file: keyof typeof runFiles): string {
  return join(folder, runFiles[file]);
}

async function newStanding(
  engine: Engine,
  job: TrainingJob,
  layout: ParameterLayout,
  signal: AbortSignal | undefined,
): Promise<Standing> {
  const { settings } = job.config;
  const parameters = layout.initialize(settings.seed);
  if (settings.warmStart === 'linear') {
    const views = layout.views(parameters);
    const probe = await linearProbe(engine, job, signal);
    for (const [name, values] of Object.entries(probe)) views[name]!.set(values);
  }
  const moments = { mean: new Float32Array(layout.size), variance: new Float32Array(layout.size) };
  return { checkpoint: { epoch: 0, parameters, ...moments }, best: undefined, history: [] };
}

/** Where the run was cut off; undefined before its first checkpoint. @throws Failure `damaged-file` */
async function standingOf(job: TrainingJob, layout: ParameterLayout): Promise<Standing | undefined> {
  const path = fileOf(job, 'checkpoint');
  if (!(await exists(path))) return undefined;
  try {
    const checkpoint = await readCheckpoint(path, layout);
    const { epoch, top1, macro } = await readCheckpointMetadata(fileOf(job, 'best'));
    const val = top1 === undefined ? null : { top1: Number(top1), macro: Number(macro) };
    const metrics = fileOf(job, 'metrics');
    const history = await readMetrics(metrics, checkpoint.epoch);
    if (history.length < checkpoint.epoch)
      throw new Failure('damaged-file', `"${metrics}" is cut short: it lacks epochs that the checkpoint has.`);
    return { checkpoint, best: { epoch: Number(epoch), val }, history };
  } catch (error) {
    throw advised(
      error,
      ['damaged-file', 'missing-file'],
      `delete "${path}", and the run starts over to the same numbers`,
    );
  }
}

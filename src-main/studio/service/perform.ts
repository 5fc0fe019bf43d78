import { join } from 'node:path';
import { z } from 'zod';
import type { TaskOptions } from '../../base/progress.ts';
import type { RunResult } from '../../training/run-folder.ts';
import type { Workspace } from '../../workspace/workspace.ts';
import * as backbones from '../backbones.ts';
import * as datasets from '../datasets/datasets.ts';
import { beginTradeoff, continueTradeoff, tradeoffRequestSchema, type KeptTradeoff } from '../edge/kept-tradeoffs.ts';
import { evaluate } from '../evaluate.ts';
import { exportRun } from '../export.ts';
import { exportToMlflow } from '../mlflow/export-sweep.ts';
import { requestToResume } from '../resume.ts';
import { resumeSweep, startSweep, type SweepOptions } from '../sweeps/run-sweep.ts';
import { sampleImages } from '../datasets/sample.ts';
import { retrainTrial } from '../sweeps/sweep-winner.ts';
import { train, type TrainOptions } from '../train.ts';
import { removeUpload, uploadOf } from '../datasets/uploads.ts';
import { calls, retrainSchema, sweepToMlflowSchema } from './calls.ts';
import type { StudioEvent } from './events.ts';
import { isStopped, type JobContext, type Perform } from './jobs.ts';

/** What an import is asked for: by the window, or with the upload that it is of. */
const importRequestSchema = calls['datasets.add'].request.extend({ uploaded: z.string().optional() });
export type ImportRequest = z.infer<typeof importRequestSchema>;

/**
 * What does the work of each kind of job. Requests come back from the disk after a restart, so they are checked again.
 */
export function performerOf(workspace: Workspace, tell: (event: StudioEvent) => void): Perform {
  return async (kind, request, context) => {
    const onRemark = (sentence: string) => tell({ type: 'remark', sentence });
    const options: TaskOptions = { signal: context.signal, onProgress: context.onProgress, onRemark };
    switch (kind) {
      case 'import': {
        const { uploaded, ...rest } = importRequestSchema.parse(request);
        const summary = await usingUp(workspace, uploaded, context, () =>
          datasets.addDataset(workspace, rest, options),
        );
        tell({ type: 'changed', what: 'datasets' });
        return summary;
      }
      case 'sample': {
        const path = await sampleImages(workspace, options);
        const summary = await datasets.addDataset(workspace, { path }, options);
        tell({ type: 'changed', what: 'datasets' });
        return summary;
      }
      case 'backbone': {
        const wish = calls['backbones.add'].request.parse(request);
        const description = await usingUp(workspace, uploadOf(workspace, wish.file), context, () =>
          backbones.addBackbone(workspace, wish),
        );
        tell({ type: 'changed', what: 'backbones' });
        return description;
      }
      case 'train':
        return trainJob(workspace, request, context, tell);
      case 'sweep':
        return sweepJob(workspace, request, context, tell);
      case 'mlflow': {
        const { sweep, uri, experiment } = sweepToMlflowSchema.parse(request);
        return exportToMlflow(workspace, sweep, uri, { ...options, experiment });
      }
      case 'tradeoff':
        return tradeoffJob(workspace, request, context, tell);
      case 'evaluate':
        return evaluate(workspace, calls['runs.evaluate'].request.parse(request), options);
      case 'export': {
        const { run, out, ...rest } = calls['runs.export'].request.parse(request);
        return exportRun(workspace, { run, out: out ?? join(workspace.root, 'exports', run), ...rest }, options);
      }
    }
  };
}

/** Does something with an upload, if it is one, that is removed afterwards: kept where the job may go on later. */
async function usingUp<T>(
  workspace: Workspace,
  upload: string | undefined,
  { signal }: JobContext,
  task: () => Promise<T>,
): Promise<T> {
  let goesOn = false;
  try {
    return await task();
  } catch (error) {
    goesOn = signal.aborted && !isStopped(signal);
    throw error;
  } finally {
    if (upload !== undefined && !goesOn) await removeUpload(workspace, upload);
  }
}

/** Trains, or goes on with the run that an earlier part of the job has made. */
async function trainJob(
  workspace: Workspace,
  request: unknown,
  { run, signal, onProgress, onRun }: JobContext,
  tell: (event: StudioEvent) => void,
): Promise<unknown> {
  let training = run;
  const options: TrainOptions = {
    signal,
    onProgress,
    onRemark: (sentence) => tell({ type: 'remark', sentence }),
    onStart: (made) => {
      training = made;
      onRun(made);
      tell({ type: 'changed', what: 'runs' });
    },
    onEpoch: (metrics, epochs) => {
      if (training !== null) tell({ type: 'epoch', run: training, metrics, epochs });
    },
    onPace: (pace) => {
      if (training === null) return;
      tell({ type: 'pace', run: training, ...pace, vitRssBytes: process.memoryUsage.rss() });
    },
  };
  const result = await trainAsAsked(workspace, request, run, options);
  tell({ type: 'changed', what: 'runs' });
  return result;
}

async function trainAsAsked(
  workspace: Workspace,
  request: unknown,
  run: string | null,
  options: TrainOptions,
): Promise<RunResult> {
  if (run !== null) return train(workspace, await requestToResume(workspace, { resume: run, settings: {} }), options);
  const ofSweep = retrainSchema.safeParse(request);
  if (ofSweep.success) return retrainTrial(workspace, ofSweep.data.sweep, ofSweep.data.trial, options);
  return train(workspace, calls['train.start'].request.parse(request), options);
}

/** What is asked of a sweep that goes on; a job that began one asks nothing more. */
const moreSchema = z.object({ more: calls['sweeps.resume'].request.omit({ sweep: true }).optional() });

/** Runs a sweep, or goes on with the one that an earlier part of the job, or somebody else, has begun. */
async function sweepJob(
  workspace: Workspace,
  request: unknown,
  { run: begun, onRun, ...task }: JobContext,
  tell: (event: StudioEvent) => void,
): Promise<{ sweep: string }> {
  let sweep = begun;
  const options: SweepOptions = {
    ...task,
    onRemark: (sentence) => tell({ type: 'remark', sentence }),
    onStart: (config) => {
      ({ sweep } = config);
      onRun(config.sweep);
      tell({ type: 'changed', what: 'sweeps' });
    },
    onEvent: (event) => {
      if (sweep !== null) tell({ type: 'sweep', sweep, event });
    },
  };
  try {
    const ended =
      begun === null
        ? await startSweep(workspace, calls['sweeps.start'].request.parse(request), options)
        : await resumeSweep(workspace, begun, moreSchema.parse(request).more, options);
    return { sweep: ended.sweep };
  } finally {
    tell({ type: 'changed', what: 'sweeps' });
    tell({ type: 'changed', what: 'runs' });
  }
}

/** Comes to a table of accuracy against transfer, or to the rows that one lacks. */
async function tradeoffJob(
  workspace: Workspace,
  request: unknown,
  { run: begun, signal, onProgress, onRun }: JobContext,
  tell: (event: StudioEvent) => void,
): Promise<KeptTradeoff> {
  const id = begun ?? (await beginTradeoff(workspace, tradeoffRequestSchema.parse(request))).id;
  const changed = () => tell({ type: 'tradeoffs' });
  onRun(id);
  changed();
  let row = 'row 1';
  return continueTradeoff(workspace, id, {
    signal,
    onRemark: (sentence) => tell({ type: 'remark', sentence }),
    onProgress: ({ task, ...progress }) => {
      // Epochs say more of a run than its images.
      if (task !== 'train') onProgress({ task: `${row}, ${task}`, ...progress });
    },
    onEpoch: ({ epoch }, epochs) => onProgress({ task: row, done: epoch, total: epochs, unit: 'epochs' }),
    onRow: (_, done, total) => {
      row = `row ${Math.min(done + 1, total)} of ${total}`;
      changed();
      tell({ type: 'changed', what: 'runs' });
    },
  });
}

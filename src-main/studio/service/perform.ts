import { join } from 'node:path';
import type { TaskOptions } from '../../base/progress.ts';
import type { Workspace } from '../../workspace/workspace.ts';
import * as backbones from '../backbones.ts';
import * as datasets from '../datasets.ts';
import { evaluate } from '../evaluate.ts';
import { exportRun } from '../export.ts';
import { requestToResume } from '../resume.ts';
import { sampleImages } from '../sample.ts';
import { train } from '../train.ts';
import { calls } from './calls.ts';
import type { StudioEvent } from './events.ts';
import type { JobContext, Perform } from './jobs.ts';

/**
 * What does the work of each kind of job. Requests come back from the disk after a restart, so they are checked again.
 */
export function performerOf(workspace: Workspace, tell: (event: StudioEvent) => void): Perform {
  return async (kind, request, context) => {
    const onRemark = (sentence: string) => tell({ type: 'remark', sentence });
    const options: TaskOptions = { signal: context.signal, onProgress: context.onProgress, onRemark };
    switch (kind) {
      case 'import': {
        const { path, ...rest } = calls['datasets.add'].request.parse(request);
        const summary = await datasets.addDataset(workspace, { path, ...rest }, options);
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
        const description = await backbones.addBackbone(workspace, calls['backbones.add'].request.parse(request));
        tell({ type: 'changed', what: 'backbones' });
        return description;
      }
      case 'train':
        return trainJob(workspace, request, context, tell);
      case 'evaluate':
        return evaluate(workspace, calls['runs.evaluate'].request.parse(request), options);
      case 'export': {
        const { run, out, ...rest } = calls['runs.export'].request.parse(request);
        return exportRun(workspace, { run, out: out ?? join(workspace.root, 'exports', run), ...rest }, options);
      }
    }
  };
}

/** Trains, or goes on with the run that an earlier part of the job has made. */
async function trainJob(
  workspace: Workspace,
  request: unknown,
  { run, signal, onProgress, onRun }: JobContext,
  tell: (event: StudioEvent) => void,
): Promise<unknown> {
  const whole =
    run === null
      ? calls['train.start'].request.parse(request)
      : await requestToResume(workspace, { resume: run, settings: {} });
  let training = run;
  const result = await train(workspace, whole, {
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
  });
  tell({ type: 'changed', what: 'runs' });
  return result;
}

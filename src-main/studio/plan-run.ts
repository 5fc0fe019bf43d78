import { isDeepStrictEqual } from 'node:util';
import { Failure } from '../base/failure.ts';
import type { TaskOptions } from '../base/progress.ts';
import type { Backbone } from '../backbone/catalogue.ts';
import { labelledHash, type Dataset } from '../data/dataset.ts';
import { hasDataset } from '../data/dataset-store.ts';
import { datasetGone } from '../training/run-dataset.ts';
import { readConfig, readResult, type RunConfig } from '../training/run-folder.ts';
import { completeSettings, type Settings } from '../training/settings.ts';
import { splitImages, type SplitImages } from '../training/split-images.ts';
import type { Workspace } from '../workspace/workspace.ts';
import { resolveBackbone } from './backbones.ts';
import { checkDatasetIsThere, datasetAsEdited, resolveDataset } from './datasets/datasets.ts';
import { usualThreads } from './preferences.ts';
import { checkAgainstRun, unfinishedRuns } from './resume.ts';
import { fitToServed } from './edge/served-backbones.ts';
import type { TrainRequest } from './train-request.ts';

/** A run about to start, or about to go on. */
export interface RunPlan {
  dataset: Dataset;
  backbone: Backbone;
  settings: Settings;
  splits: SplitImages;
  threads: number;
  /** The run that goes on; undefined for a new one. */
  old: RunConfig | undefined;
}

/**
 * Finds or imports what a request names. What costs no time is checked first: names, then settings, and only then are
 * the images looked at.
 * @throws Failure of the dataset, the backbone, the settings, or the run that should go on
 */
export async function planRun(workspace: Workspace, request: TrainRequest, options: TaskOptions): Promise<RunPlan> {
  if (typeof request.resume === 'string') {
    const { run, dataset } = await readConfig(workspace, request.resume);
    if (await readResult(workspace, run)) throw finished(run);
    if (dataset === request.dataset && !(await hasDataset(workspace, dataset))) throw datasetGone(run, dataset);
  }
  await checkDatasetIsThere(workspace, request.dataset);
  const backbone = await resolveBackbone(workspace, request.backbone, request.server);
  const { blocks, width, prefix } = backbone.structure;
  const choice = fitToServed(request.settings, backbone);
  const asked = completeSettings(choice, { name: backbone.name, blocks, width, prefix });
  const now = await resolveDataset(workspace, request.dataset, options);
  const old = request.resume ? await runToResume(workspace, request, asked, now, backbone) : undefined;
  const dataset = old ? await datasetAsEdited(workspace, now, old.datasetEdits ?? 0) : now;
  if (dataset.classes.length < 2)
    throw new Failure(
      'dataset',
      `Dataset ${dataset.name} has one class only, so there is nothing to tell apart: add images of another.`,
    );
  const settings = old?.settings ?? asked;
  const splits = splitImages(dataset, settings, {
    noTest: request.noTest ?? old?.noTest,
    trainOn: old?.trainOn ?? request.trainOn,
  });
  if (old) checkAgainstRun(old, request);
  if (old) checkSameData(old, dataset, backbone, splits);
  const threads = old?.threads ?? request.threads ?? (await usualThreads(workspace));
  return { dataset, backbone, settings, splits, threads, old };
}

/** Of each split's contents and labels, in order. */
export function hashesOf(splits: SplitImages): RunConfig['data'] {
  return { train: labelledHash(splits.train), val: labelledHash(splits.val), test: labelledHash(splits.test) };
}

/** @throws Failure `dataset-changed` or `backbone-changed` when a run would go on with other data than it began with. */
function checkSameData(config: RunConfig, dataset: Dataset, backbone: Backbone, splits: SplitImages): void {
  const { run } = config;
  if (config.backboneSha256 !== backbone.sha256)
    throw new Failure(
      'backbone-changed',
      `Backbone ${backbone.name} is not the one that run ${run} began with: start a new run, or put the old file back.`,
    );
  const now = hashesOf(splits);
  const changed = (['train', 'val'] as const).filter((split) => now[split] !== config.data[split]);
  if (JSON.stringify(dataset.classes) !== JSON.stringify(config.classes) || changed.length > 0)
    throw new Failure(
      'dataset-changed',
      `The images or classes of dataset ${dataset.name} have changed since run ${run} began: start a new run.`,
    );
}

async function runToResume(
  workspace: Workspace,
  { resume }: TrainRequest,
  settings: Settings,
  dataset: Dataset,
  backbone: Backbone,
): Promise<RunConfig> {
  if (typeof resume === 'string') {
    const config = await readConfig(workspace, resume);
    if (config.dataset !== dataset.name || config.backbone !== backbone.name)
      throw new Failure(
        'usage',
        `Run ${resume} was of dataset ${config.dataset} and backbone ${config.backbone}, not of ${dataset.name} and ${backbone.name}.`,
      );
    return config;
  }
  const newest = (await unfinishedRuns(workspace)).findLast(
    (config) =>
      config.dataset === dataset.name &&
      config.backboneSha256 === backbone.sha256 &&
      isDeepStrictEqual(config.settings, settings),
  );
  if (newest) return newest;
  throw new Failure(
    'nothing-to-resume',
    'There is no unfinished run with these settings: leave out --resume to start one.',
  );
}

export function finished(run: string): Failure {
  return new Failure('finished', `Run ${run} is finished: "sidetune runs show ${run}" shows its result.`);
}

import type { TaskOptions } from '../base/progress.ts';
import { mapName } from '../backbone/surgery.ts';
import type { DatasetImage } from '../data/dataset.ts';
import { viewsOf } from '../data/views.ts';
import type { FeatureSet } from '../features/feature-set.ts';
import type { Network } from '../methods/network.ts';
import type { FrozenFacts } from '../training/build-network.ts';
import type { TrainingJob } from '../training/job.ts';
import { ParameterLayout } from '../training/parameters.ts';
import { listRuns, type RunConfig } from '../training/run-folder.ts';
import { chooseStep, type StepChoice } from '../training/probe/step-choice.ts';
import type { Workspace } from '../workspace/workspace.ts';
import { hashesOf, type RunPlan } from './plan-run.ts';
import type { TrainRequest } from './train-request.ts';

/** A run that goes on keeps its step, unless it is told another form. */
export function stepOf(
  workspace: Workspace,
  { stepForm, engine }: TrainRequest,
  { settings, splits, threads, old }: RunPlan,
  frozen: FrozenFacts,
  options: TaskOptions,
): Promise<StepChoice> | StepChoice {
  if (old) return { stepForm: stepForm ?? old.stepForm, microBatch: old.microBatch };
  const question = { settings, frozen, threads, engine: engine ?? 'compiled' };
  return chooseStep(workspace, question, splits.train.length, stepForm, options);
}

/** The config of a new run, or that of the one that goes on, brought up to date. */
export async function configOf(
  workspace: Workspace,
  run: string,
  request: TrainRequest,
  plan: RunPlan,
  network: Network,
  trainSet: FeatureSet,
  step: StepChoice,
): Promise<RunConfig> {
  const { settings, dataset, backbone, splits, threads, old } = plan;
  if (old) return { ...old, ...step, noTest: request.noTest ?? old.noTest };
  const layout = new ParameterLayout(network.parameters);
  return {
    version: 1,
    run,
    created: await timeAfterAllRuns(workspace),
    dataset: dataset.name,
    ...(dataset.edits ? { datasetEdits: dataset.edits } : {}),
    backbone: backbone.name,
    backboneSha256: backbone.sha256,
    data: hashesOf(splits),
    classes: dataset.classes,
    parameters: layout.count('side'),
    headParameters: layout.count('head'),
    settings,
    noTest: request.noTest ?? false,
    ...(request.trainOn === undefined ? {} : { trainOn: request.trainOn }),
    ...(request.restarts?.length ? { restarts: [...request.restarts] } : {}),
    engine: request.engine ?? 'compiled',
    device: request.device ?? 'cpu',
    threads,
    ...step,
    scales: network.maps.map((map) => trainSet.maps[mapName(map)]!.scale),
  };
}

/** Now, or just after the newest run where the clock has been set back since: the run started last is the newest. */
async function timeAfterAllRuns(workspace: Workspace): Promise<string> {
  const newest = (await listRuns(workspace)).at(-1);
  return new Date(Math.max(Date.now(), newest ? Date.parse(newest.created) + 1 : 0)).toISOString();
}

/** What the trainer is told; `sets` are those of train in all its views, of val and of test. */
export function jobOf(
  workspace: Workspace,
  { splits, old }: RunPlan,
  config: RunConfig,
  frozen: FrozenFacts,
  sets: readonly FeatureSet[],
): TrainingJob {
  const labelled = (images: readonly DatasetImage[], features: FeatureSet) => ({
    features,
    labels: images.map(({ label }) => label),
  });
  return {
    config,
    folder: workspace.run(config.run),
    frozen,
    train: labelled(viewsOf(splits.train, config.settings.views), sets[0]!),
    val: splits.val.length > 0 ? labelled(splits.val, sets[1]!) : null,
    test: splits.test.length > 0 ? labelled(splits.test, sets[2]!) : null,
    resume: old !== undefined,
  };
}

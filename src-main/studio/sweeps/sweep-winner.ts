/** What becomes of a sweep's winner: an ordinary run, read on test once, and perhaps trained again on more. */
import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { Failure } from '../../base/failure.ts';
import { exists } from '../../base/exists.ts';
import type { TaskOptions } from '../../base/progress.ts';
import { imagesOf } from '../../data/dataset.ts';
import { findSweep } from '../../sweep/find-sweep.ts';
import { choiceOf } from '../../sweep/read-space.ts';
import type { SweepConfig } from '../../sweep/sweep-config.ts';
import type { SweepEvent, TrialEnd } from '../../sweep/sweep-events.ts';
import { readPromotion, readSweepConfig, readTrialEnd, trialFolder, writePromotion } from '../../sweep/sweep-folder.ts';
import type { SweepState, Trial } from '../../sweep/sweep-state.ts';
import {
  claimRunId,
  readConfigIn,
  readResult,
  resultSchema,
  runFile,
  runFiles,
  writeConfig,
  writeResult,
  type RunResult,
} from '../../training/run-folder.ts';
import type { Workspace } from '../../workspace/workspace.ts';
import { evaluate } from '../evaluate.ts';
import type { RunPlan } from '../plan-run.ts';
import { checkGround } from './sweep-ground.ts';
import { stateOf } from './sweeps.ts';
import { train, type TrainOptions } from '../train.ts';
import type { TrainRequest } from '../train-request.ts';

/**
 * Keeps the best trial as a run, and either reads test for it, or trains its settings on train and val together and
 * reads test for that.
 */
export async function finishWinner(
  workspace: Workspace,
  config: SweepConfig,
  { dataset }: Pick<RunPlan, 'dataset'>,
  state: SweepState,
  keep: (event: SweepEvent) => void,
  options: TaskOptions,
): Promise<Extract<SweepEvent, { event: 'closed' }>> {
  const winner = state.best();
  if (!winner) return { event: 'closed', best: null, retrained: null };
  const best = await promoteTrial(workspace, config.sweep, winner.number);
  if (config.retrain) {
    const retrained = await retrain(workspace, requestOf(config, state, winner), state, keep, options);
    return { event: 'closed', best, retrained };
  }
  if (config.noTest || imagesOf(dataset, 'test').length === 0) return { event: 'closed', best, retrained: null };
  return { event: 'closed', best: await readTest(workspace, best, config.threads, options), retrained: null };
}

/** Makes a run of a trial of a sweep that is named as `findSweep` takes it. @throws Failure `no-sweep`, `no-trial` */
export async function promoteNamed(workspace: Workspace, named: string, trial: number): Promise<RunResult> {
  return promoteTrial(workspace, await findSweep(workspace, named), trial);
}

/**
 * Trains a trial's settings on train and val together, as a run of its own, and reads test for it.
 * @param trial the best when left out
 * @throws Failure `no-sweep`, `no-trial`, and those of `train`
 */
export async function retrainTrial(
  workspace: Workspace,
  named: string,
  trial: number | undefined,
  options: TrainOptions = {},
): Promise<RunResult> {
  const config = await readSweepConfig(workspace, await findSweep(workspace, named));
  await checkGround(workspace, config);
  const state = await stateOf(workspace, config);
  const chosen = trial === undefined ? state.best() : state.trials[trial];
  if (!chosen)
    throw new Failure(
      'no-trial',
      `Sweep ${config.sweep} has no ${trial === undefined ? 'trial that is done' : `trial ${trial}`} yet.`,
    );
  return train(workspace, requestOf(config, state, chosen), options);
}

/** Of a run with a trial's settings that learns from train and val together. */
function requestOf(config: SweepConfig, state: SweepState, { point, extension }: Trial): TrainRequest {
  const { dataset, backbone, noTest, stepForms, engine, device, threads } = config;
  const choice = choiceOf(config, point);
  const restarts = state.restartsOf({ extension });
  const settings = extension ? { ...choice, epochs: restarts.at(-1)! + extension.by } : choice;
  const stepForm = stepForms[settings.method];
  return { dataset, backbone, noTest, engine, device, threads, stepForm, trainOn: 'train+val', settings, restarts };
}

/** Trains the winner's settings on train and val, or goes on with that. */
async function retrain(
  workspace: Workspace,
  request: TrainRequest,
  state: SweepState,
  keep: (event: SweepEvent) => void,
  options: TaskOptions,
): Promise<RunResult> {
  const begun = state.retraining;
  const whole = begun === undefined ? null : await readResult(workspace, begun).catch(() => null);
  if (whole) return whole;
  const resume = begun !== undefined && (await exists(runFile(workspace, begun, 'config'))) ? begun : undefined;
  const onStart = (run: string) => {
    const event = { event: 'retraining', run } as const;
    state.apply(event);
    keep(event);
  };
  return train(workspace, { ...request, resume }, { ...options, onStart });
}

/** The run with its score on test, read and kept unless it is there already. */
async function readTest(
  workspace: Workspace,
  best: RunResult,
  threads: number,
  options: TaskOptions,
): Promise<RunResult> {
  if (best.test) return best;
  const { top1, macro } = await evaluate(workspace, { run: best.run, split: 'test', threads }, options);
  const result = { ...best, test: { top1, macro } };
  await writeResult(workspace, result);
  return result;
}

/**
 * Makes an ordinary run of a trial that came to its end; the run it has become already, where it is still there.
 * @throws Failure `no-trial`
 */
export async function promoteTrial(workspace: Workspace, sweep: string, trial: number): Promise<RunResult> {
  const folder = trialFolder(workspace, sweep, trial);
  const before = await readPromotion(folder);
  const kept = before === undefined ? null : await readResult(workspace, before).catch(() => null);
  const result = wholeResult(await readTrialEnd(folder));
  if (kept && (!result || isSame(kept, result))) return kept;
  const config = await readConfigIn(folder).catch(() => undefined);
  if (!result || !config)
    throw new Failure(
      'no-trial',
      `Trial ${trial} of sweep ${sweep} did not come to its end, so it cannot be made a run: "sidetune sweep show ${sweep}" shows those that did.`,
    );
  const run = await claimRunId(workspace, config.settings.method, config.dataset);
  for (const file of ['metrics', 'best'] as const)
    await copyFile(join(folder, runFiles[file]), runFile(workspace, run, file)).catch((error: unknown) => {
      throw new Failure(
        'damaged-file',
        `The files of trial ${trial} in "${folder}" are not whole: run the sweep again.`,
        {
          cause: error,
        },
      );
    });
  await writeConfig(workspace, { ...config, run, created: new Date().toISOString() });
  const promoted = { ...result, run };
  await writeResult(workspace, promoted);
  await writePromotion(folder, run);
  return promoted;
}

/** Whether a run is of this trial: another may have its id, once it was removed within the second of its beginning. */
function isSame(run: RunResult, trial: RunResult): boolean {
  return isDeepStrictEqual({ ...run, run: trial.run, test: trial.test }, trial);
}

function wholeResult(end: TrialEnd | undefined): RunResult | undefined {
  return end?.state === 'done' ? resultSchema.safeParse(end.result).data : undefined;
}

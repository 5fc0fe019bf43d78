/** How the trials of a sweep are computed: threads of each, form of a step, and lanes. Fixed when the sweep starts. */
import type { TaskOptions } from '../../base/progress.ts';
import type { StepForm } from '../../methods/network.ts';
import type { SweepConfig } from '../../sweep/sweep-config.ts';
import { chooseLanes } from '../../training/probe/lane-choice.ts';
import { frozenFactsOf } from '../../training/open-run.ts';
import { chooseStep } from '../../training/probe/step-choice.ts';
import type { Workspace } from '../../workspace/workspace.ts';
import { exampleSettings, type SweepPlan } from './plan-sweep.ts';

/** Trials for each process below which lanes save less than it takes to find out whether they pay. */
const FEW_TRIALS = 4;

/** How steps are computed, by method, found out before anything else makes the machine busy. */
export async function chooseForms(
  workspace: Workspace,
  { run, space, config }: SweepPlan,
  asked: StepForm | undefined,
  options: TaskOptions,
): Promise<SweepConfig['stepForms']> {
  const frozen = frozenFactsOf(run.backbone, run.dataset.classes.length);
  const forms: SweepConfig['stepForms'] = {};
  for (const [method, settings] of exampleSettings(space, run)) {
    const question = { settings, frozen, threads: config.threads, engine: config.engine };
    forms[method] = (await chooseStep(workspace, question, run.splits.train.length, asked, options)).stepForm;
  }
  return forms;
}

/**
 * Lanes that pay on this machine. Where trials learn from each other in no fixed order there are none: of trials that begin
 * together none knows of the others.
 */
export async function lanesThatPay(
  workspace: Workspace,
  { run, space, config }: SweepPlan,
  options: TaskOptions,
): Promise<number> {
  const { sampler, pruner, lag, trials, parallel, threads, engine } = config;
  if (engine === 'eager' || trials < FEW_TRIALS * parallel) return 1;
  if ((sampler === 'tpe' || pruner !== 'none') && lag === null) return 1;
  const frozen = frozenFactsOf(run.backbone, run.dataset.classes.length);
  let most = 1;
  for (const settings of exampleSettings(space, run).values()) {
    const question = { settings, frozen, threads, engine };
    most = Math.max(most, await chooseLanes(workspace, question, run.splits.train.length, options));
  }
  return lag === null ? most : Math.min(most, Math.max(1, Math.floor(lag / parallel)));
}

import type { Engine } from '../engine/program.ts';
import { buildNetwork } from './build-network.ts';
import type { Checkpoint } from './checkpoint.ts';
import { classWeights } from './class-weights.ts';
import { EpochRunner, type EpochOptions, type LearningRates } from './epoch.ts';
import { Evaluator, type EvaluatorOptions } from './evaluate-network.ts';
import type { TrainingJob } from './job.ts';
import { Optimizer } from './optimizer.ts';
import { ParameterLayout } from './parameters.ts';
import { scheduledRates } from './schedule.ts';

/** Everything that an epoch needs, compiled and open. */
export interface OpenTraining {
  parameters: ParameterLayout;
  runner: EpochRunner;
  optimizer: Optimizer;
  /** Undefined without a val split. */
  evaluator: Evaluator | undefined;
  rates: LearningRates;
  close(): Promise<void>;
}

/** What evaluators of a job share. */
export function evaluatorOptions({ config, frozen }: TrainingJob): EvaluatorOptions {
  const { settings, stepForm, microBatch } = config;
  const network = buildNetwork(settings, frozen, stepForm);
  const parameters = new ParameterLayout(network.parameters);
  return { network, parameters, layout: frozen.layout, pool: settings.pool, form: stepForm, batch: microBatch };
}

/** Compiles the graphs of a job and opens its features; what was opened before a failure is closed. */
export async function openTraining(engine: Engine, job: TrainingJob, start: Checkpoint): Promise<OpenTraining> {
  const { config, train, val } = job;
  const { settings, threads, restarts = [] } = config;
  const shared = evaluatorOptions(job);
  const opened: { close(): Promise<void> }[] = [];
  const close = async () => {
    for (const each of opened) await each.close();
  };
  const keep = <T extends { close(): Promise<void> }>(each: T): T => {
    opened.push(each);
    return each;
  };
  try {
    const runner = keep(await EpochRunner.open(engine, train, epochOptions(job, shared), threads));
    const optimizer = keep(await Optimizer.create(engine, shared.parameters, settings.weightDecay, start));
    const evaluator = val ? keep(await Evaluator.open(engine, val, shared)) : undefined;
    const peak = { side: settings.learningRate, head: settings.headLearningRate };
    return {
      parameters: shared.parameters,
      runner,
      optimizer,
      evaluator,
      rates: scheduledRates(
        peak,
        runner.steps * settings.epochs,
        restarts.map((epoch) => runner.steps * epoch),
      ),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

function epochOptions({ config, train, frozen }: TrainingJob, shared: EvaluatorOptions): EpochOptions {
  const { settings, microBatch } = config;
  return {
    ...shared,
    batch: settings.batch,
    microBatch,
    labelSmoothing: settings.labelSmoothing,
    dropPath: settings.dropPath,
    classWeights: classWeights(settings.classWeights, train.labels, frozen.classes),
    seed: settings.seed,
  };
}

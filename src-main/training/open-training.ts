import type { Engine } from '../engine/program.ts';
import { buildNetwork } from './build-network.ts';
import type { Checkpoint } from './checkpoint.ts';
import { classWeights } from './class-weights.ts';
import { EpochRunner, type Lane } from './epoch.ts';
import { Evaluator, type EvaluatorOptions } from './evaluate-network.ts';
import type { TrainingJob } from './job.ts';
import { Optimizer } from './optimizer.ts';
import { ParameterLayout } from './parameters.ts';
import { updateProgram } from './programs.ts';
import { scheduledRates } from './schedule.ts';

/** Everything that the epochs of some lanes need, compiled and open. */
export interface OpenTraining {
  parameters: ParameterLayout;
  runner: EpochRunner;
  /** Undefined without a val split. */
  evaluator: Evaluator | undefined;
  /** A lane for a job with these graphs. */
  laneOf(job: TrainingJob, start: Checkpoint, signal: AbortSignal | undefined): Lane;
  close(): Promise<void>;
}

/** What evaluators of a job share. */
export function evaluatorOptions({ config, frozen }: TrainingJob): EvaluatorOptions {
  const { settings, stepForm, microBatch } = config;
  const network = buildNetwork(settings, frozen, stepForm);
  const parameters = new ParameterLayout(network.parameters);
  return { network, parameters, layout: frozen.layout, pool: settings.pool, form: stepForm, batch: microBatch };
}

/**
 * Compiles the graphs of a job and opens its features; what was opened before a failure is closed.
 * @param drops whether a lane may drop modules
 */
export async function openTraining(engine: Engine, job: TrainingJob, drops: boolean): Promise<OpenTraining> {
  const { config, train, val } = job;
  const { batch, seed, views } = config.settings;
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
    const options = { ...shared, batch, microBatch: config.microBatch, drops, seed, views };
    const runner = keep(await EpochRunner.open(engine, train, options, config.threads));
    const update = await engine.compile(updateProgram(shared.parameters));
    keep({ close: () => update.dispose() });
    const evaluator = val ? keep(await Evaluator.open(engine, val, shared)) : undefined;
    return {
      parameters: shared.parameters,
      runner,
      evaluator,
      laneOf: ({ config: { settings, restarts = [] } }, start, signal) => ({
        optimizer: new Optimizer(update, settings.weightDecay, start),
        rates: scheduledRates(
          { side: settings.learningRate, head: settings.headLearningRate },
          runner.steps * settings.epochs,
          restarts.map((epoch) => runner.steps * epoch),
        ),
        labelSmoothing: settings.labelSmoothing,
        dropPath: settings.dropPath,
        classWeights: classWeights(settings.classWeights, train.labels, job.frozen.classes),
        signal,
      }),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

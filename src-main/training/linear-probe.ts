import type { Engine } from '../engine/program.ts';
import { linear } from '../methods/linear.ts';
import { EpochRunner } from './epoch.ts';
import type { TrainingJob } from './job.ts';
import { Optimizer } from './optimizer.ts';
import { ParameterLayout } from './parameters.ts';
import { scheduleFactor } from './schedule.ts';
import { WARM_UP } from './settings.ts';

/** Settings of the probe that a warm start begins from: linear probing's defaults. */
const PROBE = { epochs: 100, batch: 32, learningRate: 1e-3, weightDecay: 0.05 };

/**
 * A converged linear probe on the run's own training images, without a look at val.
 * @returns values by parameter name (`head.weight`, `head.bias`), to start another method's head from
 */
export async function linearProbe(
  engine: Engine,
  { config, ground, train }: TrainingJob,
  signal?: AbortSignal,
): Promise<Record<string, Float32Array>> {
  const { settings } = config;
  const network = linear(ground);
  const parameters = new ParameterLayout(network.parameters);
  const runner = await EpochRunner.open(engine, train, {
    network,
    parameters,
    layout: ground.layout,
    pool: settings.pool,
    form: 'plain',
    batch: PROBE.batch,
    microBatch: PROBE.batch,
    labelSmoothing: settings.labelSmoothing,
    dropPath: 0,
    classWeights: new Float32Array(ground.classes).fill(1),
    seed: settings.seed,
  });
  const optimizer = await Optimizer.create(engine, parameters, PROBE.weightDecay, {
    parameters: parameters.initialize(settings.seed),
  });
  try {
    const steps = runner.steps * PROBE.epochs;
    const rates = (step: number) => {
      const rate = PROBE.learningRate * scheduleFactor(step, steps, Math.round(WARM_UP * steps));
      return { side: rate, head: rate };
    };
    for (let epoch = 0; epoch < PROBE.epochs; epoch++)
      await runner.run(epoch, optimizer, rates, () => undefined, signal);
    return parameters.views(optimizer.parameters);
  } finally {
    await runner.close();
    await optimizer.close();
  }
}

import type { Engine } from '../engine/program.ts';
import { withKeptBase } from '../features/kept-base.ts';
import { buildNetwork } from './build-network.ts';
import { classWeights } from './class-weights.ts';
import { EpochRunner, type Lane } from './epoch.ts';
import type { LabelledFeatures } from './evaluate-network.ts';
import type { TrainingJob } from './job.ts';
import { Optimizer } from './optimizer.ts';
import { ParameterLayout } from './parameters.ts';
import { scheduledRates } from './schedule.ts';
import { completeSettings } from './settings.ts';

/**
 * A converged linear probe on the run's own training images, without a look at val: linear probing's defaults, with the
 * run's pooling, seed, label smoothing and class weights.
 * @returns values by parameter name (`head.weight`, `head.bias`), to start another method's head from
 */
export function linearProbe(
  engine: Engine,
  job: TrainingJob,
  signal?: AbortSignal,
): Promise<Record<string, Float32Array>> {
  const { features, labels } = job.train;
  if (features.storage !== 'none') return probeOn(engine, job, { features, labels }, signal);
  const { pool } = job.config.settings;
  return withKeptBase(
    features,
    pool,
    job.folder,
    (kept) => probeOn(engine, job, { features: kept, labels }, signal),
    signal,
  );
}

async function probeOn(
  engine: Engine,
  { config, frozen }: TrainingJob,
  train: LabelledFeatures,
  signal: AbortSignal | undefined,
): Promise<Record<string, Float32Array>> {
  const { pool, seed, labelSmoothing, classWeights: weighting } = config.settings;
  const settings = completeSettings(
    { method: 'linear', pool, seed, labelSmoothing, classWeights: weighting },
    { name: config.backbone, blocks: frozen.blocks, ...frozen.layout },
  );
  const network = buildNetwork(settings, frozen, 'plain');
  const parameters = new ParameterLayout(network.parameters);
  const { batch } = settings;
  const runner = await EpochRunner.open(engine, train, {
    network,
    parameters,
    layout: frozen.layout,
    pool,
    form: 'plain',
    batch,
    microBatch: batch,
    drops: false,
    seed,
    views: config.settings.views,
  });
  try {
    const optimizer = await Optimizer.create(engine, parameters, settings.weightDecay, {
      parameters: parameters.initialize(seed),
    });
    try {
      const peak = { side: settings.learningRate, head: settings.headLearningRate };
      const rates = scheduledRates(peak, runner.steps * settings.epochs);
      const lane: Lane = {
        optimizer,
        rates,
        labelSmoothing,
        dropPath: 0,
        classWeights: classWeights(weighting, train.labels, frozen.classes),
        signal,
      };
      for (let epoch = 0; epoch < settings.epochs; epoch++) {
        const [outcome] = await runner.run(epoch, [lane], () => undefined);
        if ('error' in outcome!) throw outcome.error;
      }
      return parameters.views(optimizer.parameters);
    } finally {
      await optimizer.close();
    }
  } finally {
    await runner.close();
  }
}

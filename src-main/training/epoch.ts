import type { Engine, Executable } from '../engine/program.ts';
import type { RandomGenerator } from 'pure-rand/types/RandomGenerator';
import { FeatureReader, type FeatureBuffers } from '../features/read-features.ts';
import type { Network, Pool, StepForm, TokenLayout } from '../methods/network.ts';
import type { LabelledFeatures } from './evaluate-network.ts';
import type { Optimizer } from './optimizer.ts';
import type { ParameterLayout } from './parameters.ts';
import { gradientProgram } from './programs.ts';
import { generatorFor, shuffled, uniform } from './random.ts';

const ORDER = 1;
const DROP = 2;

export interface EpochOptions {
  network: Network;
  parameters: ParameterLayout;
  layout: TokenLayout;
  pool: Pool;
  form: StepForm;
  batch: number;
  microBatch: number;
  labelSmoothing: number;
  dropPath: number;
  /** Weight of each class in the loss. */
  classWeights: Float32Array;
  seed: number;
}

/** Learning rates at a step, counted from 0 over the whole run. */
export type LearningRates = (step: number) => { side: number; head: number };

/**
 * Runs epochs over cached features. A batch goes through the gradient graph in micro-batches, whose weighted gradients
 * simply add up; the next micro-batch is read from the cache while one is computed.
 */
export class EpochRunner {
  private readonly buffers: FeatureBuffers[];

  private constructor(
    private readonly gradient: Executable,
    private readonly reader: FeatureReader,
    private readonly data: LabelledFeatures,
    private readonly options: EpochOptions,
  ) {
    this.buffers = [reader.allocate(options.microBatch), reader.allocate(options.microBatch)];
  }

  static async open(engine: Engine, data: LabelledFeatures, options: EpochOptions): Promise<EpochRunner> {
    const { network, parameters, layout, pool, form, microBatch, labelSmoothing, dropPath } = options;
    const rowSums = form === 'low-rank';
    const reader = await FeatureReader.open(data.features, {
      maps: network.maps,
      rowSums,
      base: network.usesBase ? pool : null,
    });
    const program = gradientProgram(
      network,
      parameters,
      { batch: microBatch, layout, scales: reader.scales, rowSums, dropPath: dropPath > 0 },
      labelSmoothing,
    );
    return new EpochRunner(await engine.compile(program), reader, data, options);
  }

  /** Optimizer steps in an epoch; the last batch may be smaller. */
  get steps(): number {
    return Math.ceil(this.data.labels.length / this.options.batch);
  }

  /**
   * One epoch.
   * @param epoch from 0
   * @param onStep called after each step with the number of images done
   * @returns the mean training loss
   */
  async run(
    epoch: number,
    optimizer: Optimizer,
    rates: LearningRates,
    onStep: (images: number) => void,
    signal?: AbortSignal,
  ): Promise<number> {
    const { batch, seed, parameters } = this.options;
    const total = this.data.labels.length;
    const order = shuffled(
      Array.from({ length: total }, (_, i) => i),
      generatorFor(seed, ORDER, epoch),
    );
    const drops = generatorFor(seed, DROP, epoch);
    const parts = this.parts(order);
    let gradient = new Float32Array(parameters.size);
    let loss = new Float32Array(1);
    let lossSum = 0;
    let weightSum = 0;
    let reading = this.reader.read(parts[0]!.images, this.buffers[0]!);
    for (const [index, part] of parts.entries()) {
      signal?.throwIfAborted();
      await reading;
      const next = parts[index + 1];
      if (next) reading = this.reader.read(next.images, this.buffers[(index + 1) % 2]!);
      const feeds = { parameters: optimizer.parameters, gradient, loss, ...this.lossInputs(part), ...this.drop(drops) };
      const results = await this.gradient.run({ ...feeds, ...this.buffers[index % 2]! });
      gradient = results.gradient_out as Float32Array<ArrayBuffer>;
      loss = results.loss_out as Float32Array<ArrayBuffer>;
      if (!part.endsStep) continue;
      if (!Number.isFinite(loss[0])) throw new DivergedError(epoch + 1);
      const step = epoch * this.steps + part.step;
      await optimizer.apply(gradient, step, rates(step));
      lossSum += loss[0]! * part.weight;
      weightSum += part.weight;
      onStep(Math.min((part.step + 1) * batch, total));
      gradient = new Float32Array(parameters.size);
      loss = new Float32Array(1);
    }
    return lossSum / weightSum;
  }

  /** The epoch's micro-batches in order. */
  private parts(order: Int32Array): Part[] {
    const { batch, microBatch, classWeights } = this.options;
    const { labels } = this.data;
    const parts: Part[] = [];
    for (let step = 0; step < this.steps; step++) {
      const images = order.subarray(step * batch, (step + 1) * batch);
      const weight = images.reduce((sum, image) => sum + classWeights[labels[image]!]!, 0);
      for (let first = 0; first < images.length; first += microBatch)
        parts.push({
          step,
          weight,
          images: images.subarray(first, first + microBatch),
          endsStep: first + microBatch >= images.length,
        });
    }
    return parts;
  }

  /** Labels, and each image's share of the batch's loss; padding has none. */
  private lossInputs({ images, weight }: Part): { labels: Int32Array; weights: Float32Array } {
    const { microBatch, classWeights } = this.options;
    const labels = new Int32Array(microBatch);
    const weights = new Float32Array(microBatch);
    images.forEach((image, place) => {
      labels[place] = this.data.labels[image]!;
      weights[place] = classWeights[labels[place]!]! / weight;
    });
    return { labels, weights };
  }

  /** Which modules are dropped for which image (stochastic depth, Huang et al., arXiv 1603.09382). */
  private drop(generator: RandomGenerator): { keep?: Float32Array } {
    const { dropPath, microBatch, network } = this.options;
    if (dropPath === 0 || network.modules === 0) return {};
    return {
      keep: Float32Array.from({ length: microBatch * network.modules }, () =>
        uniform(generator) < dropPath ? 0 : 1 / (1 - dropPath),
      ),
    };
  }

  async close(): Promise<void> {
    await this.gradient.dispose();
    await this.reader.close();
  }
}

/** A micro-batch: which images, of which step, and the weight of that step's whole batch. */
interface Part {
  step: number;
  images: Int32Array;
  weight: number;
  endsStep: boolean;
}

/** The loss is no longer a number: the learning rate is too high. */
export class DivergedError extends Error {
  constructor(readonly epoch: number) {
    super(`The loss stopped being a number in epoch ${epoch}.`);
  }
}

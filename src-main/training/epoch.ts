import { mapName } from '../backbone/surgery.ts';
import { CompiledEngine } from '../engine/compiled.ts';
import type { Engine } from '../engine/program.ts';
import { openProgram } from '../engine/session.ts';
import type { RandomGenerator } from 'pure-rand/types/RandomGenerator';
import type { FeatureNeeds } from '../features/feature-source.ts';
import type { EvaluatorOptions, LabelledFeatures } from './evaluate-network.ts';
import type { Optimizer } from './optimizer.ts';
import { LocalLane, type GradientLane, type MicroBatch } from './gradient-lane.ts';
import { gradientProgram, type BatchShape } from './programs.ts';
import type { Rates } from './schedule.ts';
import { ThreadLane } from './thread-lane.ts';
import { generatorFor, shuffled, uniform } from './random.ts';

const ORDER = 1;
const DROP = 2;

export interface EpochOptions extends EvaluatorOptions {
  microBatch: number;
  labelSmoothing: number;
  dropPath: number;
  /** Weight of each class in the loss. */
  classWeights: Float32Array;
  seed: number;
}

/** Learning rates at a step, counted from 0 over the whole run. */
export type LearningRates = (step: number) => Rates;

/**
 * Runs epochs over the features of a list of images. A batch goes through the gradient graph in micro-batches, dealt to lanes that work
 * side by side; their weighted gradients simply add up. With the same number of lanes the sums are the same to the bit.
 */
export class EpochRunner {
  private constructor(
    private readonly lanes: readonly GradientLane[],
    private readonly data: LabelledFeatures,
    private readonly options: EpochOptions,
  ) {}

  /** @param lanes how many threads compute gradients; an engine that runs eagerly has one. */
  static async open(engine: Engine, data: LabelledFeatures, options: EpochOptions, lanes = 1): Promise<EpochRunner> {
    const { network, parameters, layout, pool, form, microBatch, labelSmoothing, dropPath, batch } = options;
    const rowSums = form === 'low-rank';
    const needs: FeatureNeeds = { maps: network.maps, rowSums, base: network.usesBase ? pool : null };
    const scales = network.maps.map((map) => data.features.maps[mapName(map)]!.scale);
    const shape: BatchShape = { batch: microBatch, layout, scales, rowSums, dropPath: dropPath > 0 };
    const program = gradientProgram(network, parameters, shape, labelSmoothing);
    const size = parameters.size;
    if (!(engine instanceof CompiledEngine))
      return new EpochRunner(
        [await LocalLane.open(await engine.compile(program), data.features, needs, { size, microBatch })],
        data,
        options,
      );
    const lowered = await engine.lower(program);
    const opened: GradientLane[] = [];
    const { features } = data;
    const openHere = async () =>
      LocalLane.open(await openProgram(lowered, { threads: 1 }), features, needs, { size, microBatch });
    try {
      // This thread is a lane too; no more lanes than micro-batches in a step.
      opened.push(await openHere());
      while (opened.length < Math.min(lanes, Math.ceil(batch / microBatch)))
        opened.push(
          // Where the ViT runs meanwhile it has the other cores, and it is one for all lanes of a thread.
          features.storage === 'none'
            ? await openHere()
            : await ThreadLane.open({ program: lowered, features, needs, size, microBatch }),
        );
    } catch (error) {
      for (const lane of opened) await lane.close();
      throw error;
    }
    return new EpochRunner(opened, data, options);
  }

  /** Optimizer steps in an epoch; the last batch may be smaller. */
  get steps(): number {
    return Math.ceil(this.data.labels.length / this.options.batch);
  }

  /**
   * One epoch.
   * @param epoch from 0
   * @param onStep called after each step with the number of images done
   * @returns the mean training loss, and the share of images that were right as they went through
   */
  async run(
    epoch: number,
    optimizer: Optimizer,
    rates: LearningRates,
    onStep: (images: number) => void,
    signal?: AbortSignal,
  ): Promise<{ loss: number; top1: number }> {
    const { batch, seed, parameters } = this.options;
    const total = this.data.labels.length;
    const order = shuffled(
      Array.from({ length: total }, (_, i) => i),
      generatorFor(seed, ORDER, epoch),
    );
    const drops = generatorFor(seed, DROP, epoch);
    let dealt = this.deal(order, 0, drops);
    let lossSum = 0;
    let weightSum = 0;
    let correct = 0;
    for (let step = 0; step < this.steps; step++) {
      signal?.throwIfAborted();
      const next = step + 1 < this.steps ? this.deal(order, step + 1, drops) : undefined;
      // Lanes on other threads first: the one on this thread blocks it.
      const running = this.lanes
        .map((lane, index) => ({ lane, parts: dealt.lanes[index]!, upcoming: next?.lanes[index]![0]?.images }))
        .toReversed()
        .map(({ lane, parts, upcoming }) => lane.run(optimizer.parameters, parts, upcoming));
      const [first, ...others] = (await Promise.all(running)).toReversed();
      let { loss } = first!;
      correct += first!.correct;
      for (const other of others) {
        loss += other.loss;
        correct += other.correct;
        for (let i = 0; i < parameters.size; i++) first!.gradient[i]! += other.gradient[i]!;
      }
      if (!Number.isFinite(loss)) throw new DivergedError(epoch + 1);
      const at = epoch * this.steps + step;
      await optimizer.apply(first!.gradient, at, rates(at));
      lossSum += loss * dealt.weight;
      weightSum += dealt.weight;
      onStep(Math.min((step + 1) * batch, total));
      if (next) dealt = next;
    }
    return { loss: lossSum / weightSum, top1: correct / total };
  }

  /** A step's micro-batches, dealt to the lanes in turn. */
  private deal(order: Int32Array, step: number, drops: RandomGenerator): { lanes: MicroBatch[][]; weight: number } {
    const { batch, microBatch, classWeights } = this.options;
    const images = order.subarray(step * batch, (step + 1) * batch);
    const weight = images.reduce((sum, image) => sum + classWeights[this.data.labels[image]!]!, 0);
    const lanes = this.lanes.map((): MicroBatch[] => []);
    for (let part = 0; part * microBatch < images.length; part++) {
      const own = images.slice(part * microBatch, (part + 1) * microBatch);
      lanes[part % lanes.length]!.push({ images: own, ...this.lossInputs(own, weight), ...this.drop(drops) });
    }
    return { lanes, weight };
  }

  /** Labels, and each image's share of the batch's loss; padding has none. */
  private lossInputs(images: Int32Array, weight: number): Pick<MicroBatch, 'labels' | 'weights'> {
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
  private drop(generator: RandomGenerator): Pick<MicroBatch, 'keep'> {
    const { dropPath, microBatch, network } = this.options;
    if (dropPath === 0 || network.modules === 0) return {};
    return {
      keep: Float32Array.from({ length: microBatch * network.modules }, () =>
        uniform(generator) < dropPath ? 0 : 1 / (1 - dropPath),
      ),
    };
  }

  async close(): Promise<void> {
    await Promise.all(this.lanes.map((lane) => lane.close()));
  }
}

/** The loss is no longer a number: the learning rate is too high. */
export class DivergedError extends Error {
  constructor(readonly epoch: number) {
    super(`The loss stopped being a number in epoch ${epoch}.`);
  }
}

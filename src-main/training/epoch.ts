import type { RandomGenerator } from 'pure-rand/types/RandomGenerator';
import { mapName } from '../backbone/surgery.ts';
import { CompiledEngine } from '../engine/compiled.ts';
import type { Engine } from '../engine/program.ts';
import { openProgram } from '../engine/session.ts';
import type { FeatureNeeds } from '../features/feature-source.ts';
import type { EvaluatorOptions, LabelledFeatures } from './evaluate-network.ts';
import { LocalGradients, type GradientSource, type GradientSum, type LaneInputs } from './gradient-source.ts';
import { GradientThread } from './gradient-thread.ts';
import type { Optimizer } from './optimizer.ts';
import { gradientProgram, type BatchShape } from './programs.ts';
import { generatorFor, shuffled, uniform } from './random.ts';
import type { Rates } from './schedule.ts';

const ORDER = 1;
const DROP = 2;
const VIEW = 3;

export interface EpochOptions extends EvaluatorOptions {
  microBatch: number;
  /** Whether a lane may drop modules. */
  drops: boolean;
  seed: number;
  /** Looks at each image, view after view in the list; an epoch takes one of each image. */
  views: number;
}

/** Learning rates at a step, counted from 0 over the whole run. */
export type LearningRates = (step: number) => Rates;

/** One of the settings that are trained in step with each other, over the same batches in the same graph. */
export interface Lane {
  optimizer: Optimizer;
  rates: LearningRates;
  labelSmoothing: number;
  /** 0 where the runner has none that drops. */
  dropPath: number;
  /** Weight of each class in the loss. */
  classWeights: Float32Array;
  signal?: AbortSignal;
}

/** The mean training loss of a lane's epoch and the share of images that were right as they went through, or why it left. */
export type LaneEpoch = { loss: number; top1: number } | { error: unknown };

/**
 * Runs epochs over the features of a list of images. A batch goes through the gradient graph in micro-batches, dealt to threads that
 * work side by side; their weighted gradients simply add up. With the same number of threads the sums are the same to the
 * bit, and whatever other lanes there are.
 */
export class EpochRunner {
  private constructor(
    private readonly sources: readonly GradientSource[],
    private readonly data: LabelledFeatures,
    private readonly options: EpochOptions,
  ) {}

  /** @param threads how many compute gradients; an engine that runs eagerly has one. */
  static async open(engine: Engine, data: LabelledFeatures, options: EpochOptions, threads = 1): Promise<EpochRunner> {
    const { network, parameters, layout, pool, form, microBatch, drops, batch } = options;
    const rowSums = form === 'low-rank';
    const needs: FeatureNeeds = { maps: network.maps, rowSums, base: network.usesBase ? pool : null };
    const scales = network.maps.map((map) => data.features.maps[mapName(map)]!.scale);
    const shape: BatchShape = { batch: microBatch, layout, scales, rowSums, dropPath: drops };
    const program = gradientProgram(network, parameters, shape);
    const size = parameters.size;
    if (!(engine instanceof CompiledEngine))
      return new EpochRunner(
        [await LocalGradients.open(await engine.compile(program), data.features, needs, { size, microBatch })],
        data,
        options,
      );
    const lowered = await engine.lower(program);
    const opened: GradientSource[] = [];
    const { features } = data;
    const openHere = async () =>
      LocalGradients.open(await openProgram(lowered, { threads: 1 }), features, needs, { size, microBatch });
    try {
      // This thread works too; no more threads than micro-batches in a step.
      opened.push(await openHere());
      while (opened.length < Math.min(threads, Math.ceil(batch / microBatch)))
        opened.push(
          // Where the ViT runs meanwhile it has the other cores, and it is one for all sources of a thread.
          features.storage === 'none'
            ? await openHere()
            : await GradientThread.open({ program: lowered, features, needs, size, microBatch }),
        );
    } catch (error) {
      for (const source of opened) await source.close();
      throw error;
    }
    return new EpochRunner(opened, data, options);
  }

  /** Optimizer steps in an epoch; the last batch may be smaller. */
  get steps(): number {
    return Math.ceil(this.images / this.options.batch);
  }

  /** Images in an epoch. */
  private get images(): number {
    return this.data.labels.length / this.options.views;
  }

  /** Rows of the features in the order of an epoch: each image once, in the view that is drawn for it. */
  private order(epoch: number): Int32Array {
    const { seed, views } = this.options;
    const { images } = this;
    const all = Array.from({ length: images }, (_, image) => image);
    const order = shuffled(all, generatorFor(seed, ORDER, epoch));
    if (views === 1) return order;
    const drawn = generatorFor(seed, VIEW, epoch);
    const view = all.map(() => Math.floor(uniform(drawn) * views));
    return order.map((image) => view[image]! * images + image);
  }

  /**
   * One epoch of some lanes. A lane that is stopped or diverges leaves; for the others nothing changes.
   * @param epoch from 0
   * @param onStep called after each step with the number of images done
   * @throws what features cannot be read with
   */
  async run(epoch: number, lanes: readonly Lane[], onStep: (images: number) => void): Promise<LaneEpoch[]> {
    const { batch } = this.options;
    const total = this.images;
    const order = this.order(epoch);
    const courses = lanes.map((lane) => new Course(lane, epoch, this.options));
    for (let step = 0; step < this.steps; step++) {
      const running = courses.filter((course) => course.goesOn());
      if (running.length === 0) break;
      const sums = await this.gradients(running, order, step);
      for (const [index, course] of running.entries()) await course.step(sums[index]!, epoch * this.steps + step);
      onStep(Math.min((step + 1) * batch, total));
    }
    return courses.map((course) => course.outcome(total));
  }

  /** The gradients of a step, a lane each. */
  private async gradients(courses: readonly Course[], order: Int32Array, step: number): Promise<GradientSum[]> {
    const images = this.partsOf(order, step);
    const whole = order.subarray(step * this.options.batch, (step + 1) * this.options.batch);
    const labels = images.map((part) => this.labelsOf(part));
    for (const course of courses) course.begin(whole, this.data.labels);
    const parts = images.map((part, index) => ({
      images: part,
      labels: labels[index]!,
      lanes: courses.map((course) => course.inputsOf(part, labels[index]!)),
    }));
    const upcoming = this.partsOf(order, step + 1);
    const lanes = courses.map((course) => course.laneStep);
    // Those on other threads first: the one on this thread blocks it.
    const running = this.sources
      .map((source, at) => () => {
        const own = parts.filter((_, part) => part % this.sources.length === at);
        return source.run(lanes, own, upcoming[at]);
      })
      .toReversed()
      .map((run) => run());
    const [first, ...others] = (await Promise.all(running)).toReversed();
    for (const other of others)
      for (const [index, sum] of first!.entries()) {
        const { gradient, loss, correct } = other[index]!;
        sum.loss += loss;
        sum.correct += correct;
        for (let i = 0; i < gradient.length; i++) sum.gradient[i]! += gradient[i]!;
      }
    return first!;
  }

  /** The images of a step's micro-batches; none after the last step. */
  private partsOf(order: Int32Array, step: number): Int32Array[] {
    const { batch, microBatch } = this.options;
    const images = order.subarray(step * batch, (step + 1) * batch);
    return Array.from({ length: Math.ceil(images.length / microBatch) }, (_, part) =>
      images.slice(part * microBatch, (part + 1) * microBatch),
    );
  }

  private labelsOf(images: Int32Array): Int32Array {
    const labels = new Int32Array(this.options.microBatch);
    images.forEach((image, place) => (labels[place] = this.data.labels[image]!));
    return labels;
  }

  async close(): Promise<void> {
    await Promise.all(this.sources.map((source) => source.close()));
  }
}

/** A lane on its way through an epoch. */
class Course {
  private readonly drops: RandomGenerator;
  private readonly smoothing: Float32Array;
  private lossSum = 0;
  private weightSum = 0;
  private correct = 0;
  /** Of the step that it is at: the sum of its images' weights. */
  private weight = 0;
  private left: { error: unknown } | undefined;

  constructor(
    private readonly lane: Lane,
    private readonly epoch: number,
    private readonly options: EpochOptions,
  ) {
    this.drops = generatorFor(options.seed, DROP, epoch);
    this.smoothing = Float32Array.of(lane.labelSmoothing);
  }

  goesOn(): boolean {
    const { signal } = this.lane;
    if (signal?.aborted) this.left ??= { error: signal.reason };
    return this.left === undefined;
  }

  get laneStep() {
    return { parameters: this.lane.optimizer.parameters, smoothing: this.smoothing };
  }

  /** @param images all of the step */
  begin(images: Int32Array, labels: readonly number[]): void {
    this.weight = images.reduce((sum, image) => sum + this.lane.classWeights[labels[image]!]!, 0);
  }

  /** Each image's share of the batch's loss, of which padding has none, and what is dropped; micro-batch after micro-batch. */
  inputsOf(images: Int32Array, labels: Int32Array): LaneInputs {
    const weights = new Float32Array(this.options.microBatch);
    for (let place = 0; place < images.length; place++)
      weights[place] = this.lane.classWeights[labels[place]!]! / this.weight;
    return { weights, ...this.drop() };
  }

  /** Which modules are dropped for which image (stochastic depth, Huang et al., arXiv 1603.09382). */
  private drop(): Pick<LaneInputs, 'keep'> {
    const { drops, microBatch, network } = this.options;
    const { dropPath } = this.lane;
    if (!drops || network.modules === 0) return {};
    const keep = new Float32Array(microBatch * network.modules).fill(1);
    if (dropPath > 0)
      for (let place = 0; place < keep.length; place++)
        keep[place] = uniform(this.drops) < dropPath ? 0 : 1 / (1 - dropPath);
    return { keep };
  }

  /** @param at steps before this one, over the whole run */
  async step({ gradient, loss, correct }: GradientSum, at: number): Promise<void> {
    if (!Number.isFinite(loss)) {
      this.left = { error: new DivergedError(this.epoch + 1) };
      return;
    }
    await this.lane.optimizer.apply(gradient, at, this.lane.rates(at));
    this.lossSum += loss * this.weight;
    this.weightSum += this.weight;
    this.correct += correct;
  }

  outcome(images: number): LaneEpoch {
    return this.left ?? { loss: this.lossSum / this.weightSum, top1: this.correct / images };
  }
}

/** The loss is no longer a number: the learning rate is too high. */
export class DivergedError extends Error {
  constructor(readonly epoch: number) {
    super(`The loss stopped being a number in epoch ${epoch}.`);
  }
}

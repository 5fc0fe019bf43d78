import type { Executable } from '../engine/program.ts';
import type { FeatureBuffers, FeatureNeeds, FeatureSource } from '../features/feature-source.ts';
import { openFeatures } from '../features/open-features.ts';
import type { FeatureSet } from '../features/feature-set.ts';
import { argMax } from './metrics.ts';

/** A micro-batch: rows of the cache to read, and what the loss needs besides. Padding has weight 0. */
export interface MicroBatch {
  /** Rows to read; at most the micro-batch's size. */
  images: Int32Array;
  labels: Int32Array;
  /** What differs from lane to lane, in their order. */
  lanes: readonly LaneInputs[];
}

export interface LaneInputs {
  /** Share of the step's loss. */
  weights: Float32Array;
  /** [microBatch, modules], where the graph can drop any. */
  keep?: Float32Array;
}

/** What of a lane is the same in all micro-batches of a step. */
export interface LaneStep {
  parameters: Float32Array;
  /** [1]: of the labels. */
  smoothing: Float32Array;
}

export interface GradientSum {
  gradient: Float32Array;
  loss: number;
  /** Images whose most probable class was theirs, before the step that they led to. */
  correct: number;
}

/** Where micro-batches are turned into gradients: on this thread or on another. */
export interface GradientSource {
  /**
   * Sums of the gradients and losses of `parts`, a lane each; the buffers are the source's own, good until the next call.
   * The rows of `upcoming`, the first of the next call, are read meanwhile.
   */
  run(
    lanes: readonly LaneStep[],
    parts: readonly MicroBatch[],
    upcoming: Int32Array | undefined,
  ): Promise<GradientSum[]>;
  close(): Promise<void>;
}

/**
 * Gradients on the calling thread. A micro-batch is read once, and goes through the graph for each lane, while the next
 * is read. A graph with a copy of the network for every lane is no faster: it takes three times the memory for four, and
 * four times as long to compile.
 */
export class LocalGradients implements GradientSource {
  private readonly buffers: [FeatureBuffers, FeatureBuffers];
  /** Of each lane, the sums before and after a micro-batch; they take turns, as a graph may not write what it still reads. */
  private readonly sums: [SumBuffers, SumBuffers][] = [];
  private turn = 0;
  private ahead: { images: Int32Array; reading: Promise<void> } | undefined;

  private constructor(
    private readonly executable: Executable,
    private readonly reader: FeatureSource,
    private readonly size: number,
    microBatch: number,
  ) {
    this.buffers = [reader.allocate(microBatch), reader.allocate(microBatch)];
  }

  /**
   * @param executable a compiled `gradientProgram`
   * @param size elements of the parameter vector
   */
  static async open(
    executable: Executable,
    features: FeatureSet,
    needs: FeatureNeeds,
    { size, microBatch }: { size: number; microBatch: number },
  ): Promise<LocalGradients> {
    try {
      return new LocalGradients(executable, await openFeatures(features, needs), size, microBatch);
    } catch (error) {
      await executable.dispose();
      throw error;
    }
  }

  async run(
    lanes: readonly LaneStep[],
    parts: readonly MicroBatch[],
    upcoming: Int32Array | undefined,
  ): Promise<GradientSum[]> {
    while (this.sums.length < lanes.length) this.sums.push([sumBuffers(this.size), sumBuffers(this.size)]);
    const running = lanes.map((lane, index) => {
      const [from, to] = this.sums[index]!;
      from.gradient_out.fill(0);
      from.loss_out.fill(0);
      return { lane, from, to, correct: 0 };
    });
    for (const [index, { images, labels, lanes: inputs }] of parts.entries()) {
      const buffers = await this.take(images);
      const next = parts[index + 1]?.images ?? upcoming;
      if (next) this.prefetch(next);
      for (const [place, each] of running.entries()) {
        const { lane, from, to } = each;
        const { logits } = await this.executable.run(
          { ...lane, gradient: from.gradient_out, loss: from.loss_out, labels, ...inputs[place], ...buffers },
          to,
        );
        each.correct += countCorrect(logits as Float32Array, labels, images.length);
        [each.from, each.to] = [to, from];
      }
    }
    return running.map(({ from, correct }) => ({ gradient: from.gradient_out, loss: from.loss_out[0]!, correct }));
  }

  async close(): Promise<void> {
    await this.ahead?.reading.catch(() => undefined);
    await this.executable.dispose();
    await this.reader.close();
  }

  /** The buffers with these rows, which may have been read ahead. */
  private async take(images: Int32Array): Promise<FeatureBuffers> {
    const { ahead } = this;
    const buffers = this.buffers[this.turn]!;
    this.ahead = undefined;
    await ahead?.reading;
    if (!ahead || !sameRows(ahead.images, images)) await this.reader.read(images, buffers);
    this.turn = 1 - this.turn;
    return buffers;
  }

  private prefetch(images: Int32Array): void {
    const reading = this.reader.read(images, this.buffers[this.turn]!);
    // Reported when the rows are taken; until then a failure is not unhandled.
    reading.catch(() => undefined);
    this.ahead = { images, reading };
  }
}

type SumBuffers = Record<'gradient_out' | 'loss_out', Float32Array>;

function sumBuffers(size: number): SumBuffers {
  return { gradient_out: new Float32Array(size), loss_out: new Float32Array(1) };
}

/** Of the first `count` images: what comes after them is padding. */
function countCorrect(logits: Float32Array, labels: Int32Array, count: number): number {
  const classes = logits.length / labels.length;
  let correct = 0;
  for (let image = 0; image < count; image++)
    if (argMax(logits.subarray(image * classes, (image + 1) * classes)) === labels[image]) correct++;
  return correct;
}

function sameRows(a: Int32Array, b: Int32Array): boolean {
  return a.length === b.length && a.every((row, index) => row === b[index]);
}

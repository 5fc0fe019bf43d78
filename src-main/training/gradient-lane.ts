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
  /** Share of the step's loss. */
  weights: Float32Array;
  /** [microBatch, modules], with drop-path only. */
  keep?: Float32Array;
}

export interface GradientSum {
  gradient: Float32Array;
  loss: number;
  /** Images whose most probable class was theirs, before the step that they led to. */
  correct: number;
}

/** Where micro-batches are turned into gradients: on this thread or on another. */
export interface GradientLane {
  /**
   * Sum of the gradients and losses of `parts`; the buffer is the lane's own, good until the next call. The rows of `upcoming`, the first of the next call, are read meanwhile.
   */
  run(parameters: Float32Array, parts: readonly MicroBatch[], upcoming: Int32Array | undefined): Promise<GradientSum>;
  close(): Promise<void>;
}

/** A lane on the calling thread: reads the next micro-batch while one is computed. */
export class LocalLane implements GradientLane {
  private readonly buffers: [FeatureBuffers, FeatureBuffers];
  /** Sums before and after a micro-batch; they take turns, as a graph may not write what it still reads. */
  private readonly sums: [SumBuffers, SumBuffers];
  private turn = 0;
  private ahead: { images: Int32Array; reading: Promise<void> } | undefined;

  private constructor(
    private readonly executable: Executable,
    private readonly reader: FeatureSource,
    size: number,
    microBatch: number,
  ) {
    this.sums = [sumBuffers(size), sumBuffers(size)];
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
  ): Promise<LocalLane> {
    try {
      return new LocalLane(executable, await openFeatures(features, needs), size, microBatch);
    } catch (error) {
      await executable.dispose();
      throw error;
    }
  }

  async run(
    parameters: Float32Array,
    parts: readonly MicroBatch[],
    upcoming: Int32Array | undefined,
  ): Promise<GradientSum> {
    let from = this.sums[0];
    from.gradient_out.fill(0);
    from.loss_out.fill(0);
    let correct = 0;
    for (const [index, { images, ...inputs }] of parts.entries()) {
      const buffers = await this.take(images);
      const next = parts[index + 1]?.images ?? upcoming;
      if (next) this.prefetch(next);
      const to = from === this.sums[0] ? this.sums[1] : this.sums[0];
      const { logits } = await this.executable.run(
        { parameters, gradient: from.gradient_out, loss: from.loss_out, ...inputs, ...buffers },
        to,
      );
      correct += countCorrect(logits as Float32Array, inputs.labels, images.length);
      from = to;
    }
    return { gradient: from.gradient_out, loss: from.loss_out[0]!, correct };
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

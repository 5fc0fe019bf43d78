/** What a served model has done since it started. */
export interface Duration {
  count: number;
  ns: number;
}

const none = (): Duration => ({ count: 0, ns: 0 });

export class Statistics {
  readonly success = none();
  readonly fail = none();
  readonly queue = none();
  readonly computeInput = none();
  readonly computeInfer = none();
  readonly computeOutput = none();
  /** Runs of the ViT, by the images in them. */
  readonly batches = new Map<number, Duration>();
  /** Requests refused because there was too much to do. */
  rejected = 0;
  images = 0;
  executions = 0;
  bytesReceived = 0;
  bytesSent = 0;
  /** Milliseconds since 1970; 0 before the first. */
  lastInference = 0;

  /** A run of the ViT on `images` images. */
  executed(images: number, ms: number): void {
    this.images += images;
    this.executions++;
    add(this.computeInfer, ms);
    const batch = this.batches.get(images) ?? none();
    add(batch, ms);
    this.batches.set(images, batch);
  }

  /** As the statistics extension puts it (Triton, extension_statistics.md). */
  report(name: string, version: string): object {
    const { success, fail, queue, computeInput, computeInfer, computeOutput } = this;
    return {
      name,
      version,
      last_inference: this.lastInference,
      inference_count: this.images,
      execution_count: this.executions,
      inference_stats: {
        success,
        fail,
        queue,
        compute_input: computeInput,
        compute_infer: computeInfer,
        compute_output: computeOutput,
      },
      batch_stats: [...this.batches]
        .sort(([a], [b]) => a - b)
        .map(([size, duration]) => ({
          batch_size: size,
          compute_input: none(),
          compute_infer: duration,
          compute_output: none(),
        })),
    };
  }
}

export function add(duration: Duration, ms: number): void {
  duration.count++;
  duration.ns += Math.round(ms * 1e6);
}

import { Failure } from '../base/failure.ts';
import { openEngine } from '../engine/open-engine.ts';
import type { Buffers, Executable } from '../engine/program.ts';
import { roundingOf } from '../features/feature-set.ts';
import { openVit, type Vit } from '../features/open-vit.ts';
import type { TappedBatch } from '../features/tapped-batch.ts';
import { LARGEST_HALF } from '../features/map-scales.ts';
import type { OpenedRun } from '../training/open-run.ts';
import { logitsProgram } from '../training/programs.ts';

/** Logits of an image, or the sentence that says why there are none. */
export type Outcome = Float32Array | string;

/** The frozen ViT and the side network of a run behind each other. */
export class Classifier {
  private scales: readonly number[];
  private adaptor: Executable | undefined;
  /** Spent so far in either part. */
  readonly seconds = { vit: 0, adaptor: 0 };

  private constructor(
    private readonly run: OpenedRun,
    private readonly vit: Vit,
    private readonly threads: number,
  ) {
    this.scales = run.config.scales;
  }

  /** @param options.batch images that go through together; the ViT's own where its file fixes that */
  static async open(run: OpenedRun, threads: number, options: { batch?: number } = {}): Promise<Classifier> {
    const storage = roundingOf(run.config.settings.cache);
    const vit = await openVit(run.backbone, run.network.maps, {
      threads,
      storage,
      base: run.network.usesBase,
      ...options,
    });
    const classifier = new Classifier(run, vit, threads);
    try {
      classifier.adaptor = await classifier.compile();
      return classifier;
    } catch (error) {
      await classifier.close();
      throw error;
    }
  }

  /** Images that go through together. */
  get batch(): number {
    return this.vit.batch;
  }

  /**
   * Classifies at most `batch` images. Where their maps are larger than those that were trained on, the scales are
   * raised for these and those that follow: powers of two, which round to the same but for the smallest values.
   * @param pixels [count, 3, height, width], normalised
   */
  async classify(pixels: Float32Array, count: number): Promise<Outcome[]> {
    try {
      const started = performance.now();
      const { batch, scales } = await this.vit.runFitting(pixels, count, this.scales, LARGEST_HALF);
      this.seconds.vit += (performance.now() - started) / 1000;
      if (scales !== this.scales || !this.adaptor) {
        this.scales = scales;
        await this.adaptor?.dispose();
        this.adaptor = undefined;
        this.adaptor = await this.compile();
      }
      return await this.logits(this.adaptor, batch, count);
    } catch (error) {
      if (!(error instanceof Failure) || error.code !== 'non-finite') throw error;
      if (count === 1) return [error.message];
      // One image spoils the batch; alone, only itself.
      const size = pixels.length / count;
      const outcomes: Outcome[] = [];
      for (let index = 0; index < count; index++)
        outcomes.push(...(await this.classify(pixels.slice(index * size, (index + 1) * size), 1)));
      return outcomes;
    }
  }

  async close(): Promise<void> {
    await this.adaptor?.dispose();
    await this.vit.close();
  }

  private async compile(): Promise<Executable> {
    const { network, layout, frozen } = this.run;
    const engine = await openEngine('compiled', this.threads);
    const shape = { batch: this.batch, layout: frozen.layout, scales: this.scales, rowSums: false, dropPath: false };
    return engine.compile(logitsProgram(network, layout, shape));
  }

  private async logits(adaptor: Executable, features: TappedBatch, count: number): Promise<Float32Array[]> {
    const { config, frozen, network, parameters } = this.run;
    const { tokens, width } = frozen.layout;
    const feeds: Buffers = { parameters };
    features.maps.forEach(({ map }, index) => {
      const padded = new Uint16Array(this.batch * tokens * width);
      padded.set(map);
      feeds[`map_${index}`] = padded;
    });
    if (network.usesBase) {
      const base = new Float32Array(this.batch * width);
      base.set(config.settings.pool === 'cls' ? features.baseCls! : features.baseMean);
      feeds.base = base;
    }
    const started = performance.now();
    const logits = (await adaptor.run(feeds)).logits as Float32Array;
    this.seconds.adaptor += (performance.now() - started) / 1000;
    const classes = config.classes.length;
    return Array.from({ length: count }, (_, index) => logits.subarray(index * classes, (index + 1) * classes));
  }
}

import type { Engine, Executable } from '../engine/program.ts';
import type { FeatureSet } from '../features/feature-set.ts';
import type { FeatureBuffers, FeatureSource } from '../features/feature-source.ts';
import { openFeatures } from '../features/open-features.ts';
import type { Network, Pool, StepForm, TokenLayout } from '../methods/network.ts';
import { MetricsCollector, type Metrics } from './metrics.ts';
import type { ParameterLayout } from './parameters.ts';
import { logitsProgram } from './programs.ts';

/** Images and their labels, in the cache's order. */
export interface LabelledFeatures {
  features: FeatureSet;
  labels: readonly number[];
}

export interface EvaluatorOptions {
  network: Network;
  parameters: ParameterLayout;
  layout: TokenLayout;
  pool: Pool;
  form: StepForm;
  batch: number;
}

/** A network compiled for evaluation on one list of cached features. */
export class Evaluator {
  private readonly buffers: FeatureBuffers;

  private constructor(
    private readonly executable: Executable,
    private readonly reader: FeatureSource,
    private readonly data: LabelledFeatures,
    private readonly batch: number,
    private readonly classes: number,
  ) {
    this.buffers = reader.allocate(batch);
  }

  static async open(engine: Engine, data: LabelledFeatures, options: EvaluatorOptions): Promise<Evaluator> {
    const { network, parameters, layout, pool, form, batch } = options;
    const rowSums = form === 'low-rank';
    const reader = await openFeatures(data.features, {
      maps: network.maps,
      rowSums,
      base: network.usesBase ? pool : null,
    });
    const program = logitsProgram(network, parameters, {
      batch,
      layout,
      scales: reader.scales,
      rowSums,
      dropPath: false,
    });
    const executable = await engine.compile(program).catch(async (error: unknown) => {
      await reader.close();
      throw error;
    });
    const classes = parameters.parameters.find(({ name }) => name === 'head.bias')!.size;
    return new Evaluator(executable, reader, data, batch, classes);
  }

  /** Calls `visit` with each batch's logits, [rows, classes], in the order of the images. */
  async visit(
    parameters: Float32Array,
    visit: (logits: Float32Array, first: number, count: number) => void,
    signal?: AbortSignal,
  ): Promise<void> {
    const total = this.data.labels.length;
    for (let first = 0; first < total; first += this.batch) {
      signal?.throwIfAborted();
      const count = Math.min(this.batch, total - first);
      await this.reader.read(
        Array.from({ length: count }, (_, i) => first + i),
        this.buffers,
      );
      const { logits } = await this.executable.run({ parameters, ...this.buffers });
      visit((logits as Float32Array).subarray(0, count * this.classes), first, count);
    }
  }

  async metrics(parameters: Float32Array, signal?: AbortSignal): Promise<Metrics> {
    const collector = new MetricsCollector(this.classes);
    await this.visit(
      parameters,
      (logits, first, count) => collector.add(logits, this.data.labels.slice(first, first + count)),
      signal,
    );
    return collector.result();
  }

  async close(): Promise<void> {
    await this.executable.dispose();
    await this.reader.close();
  }
}

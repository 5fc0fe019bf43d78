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

/** Parameters to be evaluated, until they are no longer asked for. */
export interface EvaluatedLane {
  parameters: Float32Array;
  signal?: AbortSignal;
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
    await this.visitLanes([{ parameters, signal }], (_, ...batch) => visit(...batch));
    signal?.throwIfAborted();
  }

  /** As `visit`, for several of the network's parameters: a batch is read once. Those that are stopped are left out. */
  private async visitLanes<Lane extends EvaluatedLane>(
    lanes: readonly Lane[],
    visit: (lane: Lane, logits: Float32Array, first: number, count: number) => void,
  ): Promise<void> {
    const total = this.data.labels.length;
    for (let first = 0; first < total; first += this.batch) {
      const going = lanes.filter(({ signal }) => !signal?.aborted);
      if (going.length === 0) return;
      const count = Math.min(this.batch, total - first);
      await this.reader.read(
        Array.from({ length: count }, (_, i) => first + i),
        this.buffers,
      );
      for (const lane of going) {
        const { logits } = await this.executable.run({ parameters: lane.parameters, ...this.buffers });
        visit(lane, (logits as Float32Array).subarray(0, count * this.classes), first, count);
      }
    }
  }

  async metrics(parameters: Float32Array, signal?: AbortSignal): Promise<Metrics> {
    const [metrics] = await this.metricsOf([{ parameters, signal }]);
    signal?.throwIfAborted();
    return metrics!;
  }

  /** As `metrics`, for several of the network's parameters; of those that are stopped it is of no use. */
  async metricsOf(lanes: readonly EvaluatedLane[]): Promise<Metrics[]> {
    const collected = lanes.map((lane) => ({ ...lane, collector: new MetricsCollector(this.classes) }));
    await this.visitLanes(collected, ({ collector }, logits, first, count) =>
      collector.add(logits, this.data.labels.slice(first, first + count)),
    );
    return collected.map(({ collector }) => collector.result());
  }

  async close(): Promise<void> {
    await this.executable.dispose();
    await this.reader.close();
  }
}

import type { Engine, Executable } from '../engine/program.ts';
import { ADAM, updateProgram } from './programs.ts';
import type { Rates } from './schedule.ts';
import type { ParameterLayout } from './parameters.ts';

/** Where AdamW starts: at parameters, with moments of zero where it does not go on. */
export interface OptimizerStart {
  parameters: Float32Array;
  mean?: Float32Array;
  variance?: Float32Array;
}

/** AdamW's state and its compiled update. Two sets of buffers take turns: a graph may not write what it still reads. */
export class Optimizer {
  parameters: Float32Array;
  mean: Float32Array;
  variance: Float32Array;
  private spare: { parameters: Float32Array; mean: Float32Array; variance: Float32Array };
  private readonly rates = new Float32Array(5);

  /** @param update a compiled `updateProgram`, which several optimizers may share; `close` ends it */
  constructor(
    private readonly update: Executable,
    private readonly weightDecay: number,
    { parameters, mean, variance }: OptimizerStart,
  ) {
    const { length } = parameters;
    this.parameters = parameters;
    this.mean = mean ?? new Float32Array(length);
    this.variance = variance ?? new Float32Array(length);
    this.spare = {
      parameters: new Float32Array(length),
      mean: new Float32Array(length),
      variance: new Float32Array(length),
    };
  }

  static async create(
    engine: Engine,
    layout: ParameterLayout,
    weightDecay: number,
    start: OptimizerStart,
  ): Promise<Optimizer> {
    return new Optimizer(await engine.compile(updateProgram(layout)), weightDecay, start);
  }

  /**
   * Applies a gradient.
   * @param step from 0, for Adam's bias corrections
   */
  async apply(gradient: Float32Array, step: number, learningRates: Rates): Promise<void> {
    this.rates.set([
      learningRates.side,
      learningRates.head,
      1 / (1 - ADAM.beta1 ** (step + 1)),
      1 / (1 - ADAM.beta2 ** (step + 1)),
      this.weightDecay,
    ]);
    const { spare } = this;
    await this.update.run(
      { parameters: this.parameters, gradient, mean: this.mean, variance: this.variance, rates: this.rates },
      { parameters_out: spare.parameters, mean_out: spare.mean, variance_out: spare.variance },
    );
    this.spare = { parameters: this.parameters, mean: this.mean, variance: this.variance };
    ({ parameters: this.parameters, mean: this.mean, variance: this.variance } = spare);
  }

  async close(): Promise<void> {
    await this.update.dispose();
  }
}

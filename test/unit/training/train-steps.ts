/** Some optimizer steps of a network on made-up features, on any engine, and how far two engines are apart after them. */
import type { Network, TokenLayout } from '../../../src-main/methods/network.ts';
import { floatsToHalves, halvesToFloats } from '../../../src-main/engine/half.ts';
import type { Buffers, Engine } from '../../../src-main/engine/program.ts';
import { Optimizer } from '../../../src-main/training/optimizer.ts';
import { ParameterLayout } from '../../../src-main/training/parameters.ts';
import { gradientProgram, logitsProgram, type BatchShape } from '../../../src-main/training/programs.ts';
import { distance } from '../distance.ts';
import { randomFloats } from '../engine/random-floats.ts';

export const layout: TokenLayout = { tokens: 6, width: 16, prefix: 1 };
export const batch = 5;
export const classes = 4;

export interface TrainedSteps {
  parameters: ParameterLayout;
  trained: Float32Array;
  /** Gradient of the first step. */
  first: Float32Array;
  losses: number[];
  logits: Float32Array;
}

/** Parameters after some steps, the losses on the way, and the logits at the end. */
export async function trainSteps(
  engine: Engine,
  network: Network,
  rowSums: boolean,
  steps: number,
): Promise<TrainedSteps> {
  const parameters = new ParameterLayout(network.parameters);
  const shape: BatchShape = { batch, layout, scales: network.maps.map(() => 1), rowSums, dropPath: false };
  const gradients = await engine.compile(gradientProgram(network, parameters, shape));
  const optimizer = await Optimizer.create(engine, parameters, 0.05, { parameters: started(parameters) });
  const losses: number[] = [];
  let first: Float32Array | undefined;
  for (let step = 0; step < steps; step++) {
    const { gradient_out: gradient, loss_out: loss } = await gradients.run({
      parameters: optimizer.parameters,
      gradient: new Float32Array(parameters.size),
      loss: new Float32Array(1),
      labels: Int32Array.from([0, 1, 2, 3, 0]),
      weights: Float32Array.from([0.3, 0.2, 0.2, 0.3, 0]),
      smoothing: Float32Array.of(0.1),
      ...featuresFor(network, rowSums, 1000 + (step % 3)),
    });
    first ??= (gradient as Float32Array).slice();
    losses.push(loss![0]!);
    await optimizer.apply(gradient as Float32Array, step, { side: 3e-3, head: 1e-3 });
  }
  const evaluate = await engine.compile(logitsProgram(network, parameters, shape));
  const { logits } = await evaluate.run({ parameters: optimizer.parameters, ...featuresFor(network, rowSums, 1000) });
  return { parameters, trained: optimizer.parameters, first: first!, losses, logits: logits as Float32Array };
}

/**
 * Norm of the difference over the norm, of each parameter's first gradient and last value. Left out is a parameter
 * whose gradient is zero but for rounding, such as a key bias: Adam would turn its noise into whole steps.
 * @throws Error when such a gradient is not next to zero on both sides
 */
export function compareTraining(compared: TrainedSteps, reference: TrainedSteps) {
  const largest = Math.max(...reference.first.map(Math.abs));
  return compared.parameters.parameters.flatMap(({ name, offset, size }) => {
    const cut = (vector: Float32Array) => vector.subarray(offset, offset + size);
    const gradient = cut(reference.first);
    if (Math.max(...gradient.map(Math.abs)) < 1e-6 * largest) {
      if (Math.max(...cut(compared.first).map(Math.abs)) < 1e-5 * largest) return [];
      throw new Error(`The gradient of ${name} is zero in the reference and is not in what is compared with it.`);
    }
    const trained = distance(cut(compared.trained), cut(reference.trained));
    return [{ name, gradient: distance(cut(compared.first), gradient), trained }];
  });
}

export function featuresFor(network: Network, rowSums: boolean, seed: number): Buffers {
  const buffers: Buffers = {};
  const { tokens, width } = layout;
  network.maps.forEach((_, index) => {
    const halves = floatsToHalves(randomFloats(batch * tokens * width, seed + index));
    buffers[`map_${index}`] = halves;
    if (!rowSums) return;
    const stored = halvesToFloats(halves);
    const overRows = (of: (value: number) => number) =>
      Float32Array.from({ length: batch * tokens }, (__, row) =>
        stored.subarray(row * width, (row + 1) * width).reduce((sum, value) => sum + of(value), 0),
      );
    buffers[`row_sums_${index}`] = overRows((value) => value);
    buffers[`row_square_sums_${index}`] = overRows((value) => value ** 2);
  });
  if (network.usesBase) buffers.base = randomFloats(batch * width, seed + 100);
  return buffers;
}

/** Moved off the zeros at which the ways up start, so that every parameter has a gradient from the first step on. */
function started(parameters: ParameterLayout): Float32Array {
  return parameters.initialize(3).map((value, index) => value + 0.1 * Math.sin(index));
}

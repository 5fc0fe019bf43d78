import {
  add,
  clone,
  concat,
  div,
  keep,
  mul,
  reshape,
  slice,
  sqrt,
  square,
  sub,
  sum,
  valueAndGrads,
  type Scalar,
  type Tensor,
  type Tensor1D,
  type Tensor2D,
} from '@tensorflow/tfjs-core';
import type { Program, TensorSpec, Tensors } from '../engine/program.ts';
import { crossEntropy } from '../methods/loss.ts';
import type { Features, Network, TokenLayout } from '../methods/network.ts';
import type { ParameterLayout } from './parameters.ts';

/** What a batch looks like to the programs here. */
export interface BatchShape {
  batch: number;
  layout: TokenLayout;
  /** Power of two by which each stored map was divided, in the network's order. */
  scales: readonly number[];
  /** Whether the row sums of the maps are fed: the low-rank form reads them. */
  rowSums: boolean;
  /** Whether modules may be dropped: `keep` is fed. */
  dropPath: boolean;
}

/** Inputs of a batch's features: `map_i` as stored, `row_sums_i`, `row_square_sums_i`, `base`, `keep`. */
export function featureInputs(
  network: Network,
  { batch, layout, rowSums, dropPath }: BatchShape,
): Record<string, TensorSpec> {
  const inputs: Record<string, TensorSpec> = {};
  network.maps.forEach((_, index) => {
    inputs[`map_${index}`] = { shape: [batch, layout.tokens, layout.width], storage: 'float16' };
    if (!rowSums) return;
    inputs[`row_sums_${index}`] = { shape: [batch, layout.tokens], storage: 'float32' };
    inputs[`row_square_sums_${index}`] = { shape: [batch, layout.tokens], storage: 'float32' };
  });
  if (network.usesBase) inputs.base = { shape: [batch, layout.width], storage: 'float32' };
  if (dropPath && network.modules > 0) inputs.keep = { shape: [batch, network.modules], storage: 'float32' };
  return inputs;
}

/** The tensors of `featureInputs` as the network wants them. */
export function featuresOf(network: Network, { scales, rowSums }: BatchShape, inputs: Tensors): Features {
  const each = (name: string): Tensor[] => network.maps.map((_, index) => inputs[`${name}_${index}`]!);
  return {
    maps: each('map').map((map, index) => (scales[index] === 1 ? map : mul(map, scales[index]!))),
    ...(rowSums ? { rowSums: each('row_sums'), rowSquareSums: each('row_square_sums') } : {}),
    base: inputs.base,
    keep: inputs.keep,
  };
}

/**
 * Loss and gradient of a (micro-)batch, added to what earlier ones gave.
 *
 * Inputs besides the features: `parameters` [P], `gradient` [P], `loss` [1], `labels` [batch] int32, `weights` [batch]:
 * each image's share of the loss, 0 for padding; the weights of all micro-batches of a step sum to 1; `smoothing` [1] of
 * the labels. No setting but the shapes is in the graph: one serves all lanes.
 * Outputs: `gradient` [P] and `loss` [1], renamed `gradient_out`, `loss_out`; and `logits` [batch, classes].
 */
export function gradientProgram(network: Network, layout: ParameterLayout, shape: BatchShape): Program {
  const vector: TensorSpec = { shape: [layout.size], storage: 'float32' };
  return {
    inputs: {
      parameters: vector,
      gradient: vector,
      loss: { shape: [1], storage: 'float32' },
      labels: { shape: [shape.batch], storage: 'int32' },
      weights: { shape: [shape.batch], storage: 'float32' },
      smoothing: { shape: [1], storage: 'float32' },
      ...featureInputs(network, shape),
    },
    run: (inputs) => {
      const cut = layout.cut(inputs.parameters as Tensor1D);
      const names = layout.parameters.map(({ name }) => name);
      const features = featuresOf(network, shape, inputs);
      let logits: Tensor2D | undefined;
      const objective = (...values: Tensor[]): Scalar => {
        const parameters = Object.fromEntries(names.map((name, index) => [name, values[index]!]));
        // Kept, for what is made in here is gone when the gradients are there.
        logits = keep(network.logits(parameters, features)) as Tensor2D;
        const losses = crossEntropy(logits, inputs.labels as Tensor1D, inputs.smoothing as Tensor1D);
        return sum(mul(losses, inputs.weights!));
      };
      const { value, grads } = valueAndGrads(objective)(names.map((name) => cut[name]!));
      const flat = concat(grads.map((gradient) => reshape(gradient, [-1])));
      const answers = clone(logits!);
      logits!.dispose();
      return {
        gradient_out: add(inputs.gradient!, flat),
        loss_out: add(inputs.loss!, reshape(value, [1])),
        logits: answers,
      };
    },
  };
}

export const ADAM = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 };

/**
 * One AdamW step (Loshchilov and Hutter, arXiv 1711.05101, algorithm 2) on the parameter vector; decay is decoupled
 * and, as is usual, scaled by the learning rate.
 *
 * Inputs: `parameters`, `gradient`, `mean`, `variance` [P]; `rates` [5]: learning rate of the side network, of the
 * head, the bias corrections 1 / (1 - beta^t) of mean and variance, and the weight decay. Outputs: `parameters_out`, `mean_out`, `variance_out`.
 */
export function updateProgram(layout: ParameterLayout): Program {
  const vector: TensorSpec = { shape: [layout.size], storage: 'float32' };
  return {
    inputs: {
      parameters: vector,
      gradient: vector,
      mean: vector,
      variance: vector,
      rates: { shape: [5], storage: 'float32' },
    },
    run: ({ parameters, gradient, mean, variance, rates }) => {
      const rate = (index: number) => slice(rates as Tensor1D, [index], [1]);
      const nextMean = add(mul(mean!, ADAM.beta1), mul(gradient!, 1 - ADAM.beta1));
      const nextVariance = add(mul(variance!, ADAM.beta2), mul(square(gradient!), 1 - ADAM.beta2));
      const direction = div(mul(nextMean, rate(2)), add(sqrt(mul(nextVariance, rate(3))), ADAM.epsilon));
      const next = layout.segments.map(({ part, decay, offset, size }) => {
        const own = (vectorOf: Tensor) => slice(vectorOf as Tensor1D, [offset], [size]);
        const learningRate = rate(part === 'side' ? 0 : 1);
        const kept = decay ? mul(own(parameters!), sub(1, mul(learningRate, rate(4)))) : own(parameters!);
        return sub(kept, mul(own(direction), learningRate));
      });
      return { parameters_out: concat(next), mean_out: nextMean, variance_out: nextVariance };
    },
  };
}

/** Logits of a batch, without dropping modules. Inputs: `parameters` and the features; output `logits` [batch, classes]. */
export function logitsProgram(network: Network, layout: ParameterLayout, shape: BatchShape): Program {
  const evaluation = { ...shape, dropPath: false };
  return {
    inputs: { parameters: { shape: [layout.size], storage: 'float32' }, ...featureInputs(network, evaluation) },
    run: (inputs) => ({
      logits: network.logits(layout.cut(inputs.parameters as Tensor1D), featuresOf(network, evaluation, inputs)),
    }),
  };
}

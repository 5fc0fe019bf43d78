import type { Tensor1D } from '@tensorflow/tfjs-core';
import type { Program } from '../engine/program.ts';
import type { Network } from '../methods/network.ts';
import type { ParameterLayout } from './parameters.ts';
import { featureInputs, featuresOf, type BatchShape } from './programs.ts';

/**
 * Where a network's modules look in a batch. Inputs: `parameters` and the features; outputs `received`
 * [batch, modules, tokens], `rollout` [batch, tokens] and `increments` [batch, modules], as `AttentionMaps` says.
 * Undefined for a network without modules.
 */
export function attentionProgram(network: Network, layout: ParameterLayout, shape: BatchShape): Program | undefined {
  const { attention } = network;
  if (!attention) return undefined;
  const looking = { ...shape, dropPath: false, rowSums: false };
  // The base vectors have no part in it.
  const read: Network = { ...network, usesBase: false };
  return {
    inputs: { parameters: { shape: [layout.size], storage: 'float32' }, ...featureInputs(read, looking) },
    run: (inputs) => ({ ...attention(layout.cut(inputs.parameters as Tensor1D), featuresOf(read, looking, inputs)) }),
  };
}

import type { Tensor1D } from '@tensorflow/tfjs-core';
import type { Program } from '../engine/program.ts';
import type { Network } from '../methods/network.ts';
import type { ParameterLayout } from './parameters.ts';
import { featureInputs, featuresOf, type BatchShape } from './programs.ts';

/**
 * Where a network's modules look in a batch, and what it says of it. Inputs: `parameters` and the features; outputs
 * `received` [batch, modules, tokens], `rollout` [batch, tokens] and `increments` [batch, modules], as `AttentionMaps`
 * says, and `logits` [batch, classes]. The network is in its plain form; undefined for one without modules.
 */
export function attentionProgram(network: Network, layout: ParameterLayout, shape: BatchShape): Program | undefined {
  const { attention } = network;
  if (!attention) return undefined;
  const looking = { ...shape, dropPath: false, rowSums: false };
  return {
    inputs: { parameters: { shape: [layout.size], storage: 'float32' }, ...featureInputs(network, looking) },
    run: (inputs) => {
      const parameters = layout.cut(inputs.parameters as Tensor1D);
      const features = featuresOf(network, looking, inputs);
      return { ...attention(parameters, features), logits: network.logits(parameters, features) };
    },
  };
}

import type { Tensor2D } from '@tensorflow/tfjs-core';
import { headLogits, headParameters } from './head.ts';
import type { FrozenNorm, Network, TokenLayout } from './network.ts';

export interface LinearSettings {
  layout: TokenLayout;
  norm: FrozenNorm;
  classes: number;
}

/** Linear probing: the pooled output of the frozen ViT, its own LayerNorm, one trained linear layer. */
export function linear({ layout, norm, classes }: LinearSettings): Network {
  return {
    maps: [],
    usesBase: true,
    modules: 0,
    parameters: headParameters(layout.width, classes, false),
    logits: (parameters, { base }) => headLogits(parameters, base as Tensor2D, { frozen: norm }),
  };
}

import { add, type Tensor2D, type Tensor3D } from '@tensorflow/tfjs-core';
import { headLogits, headParameters } from './head.ts';
import type { Network, Pool, StepForm, TokenLayout } from './network.ts';
import {
  attentionMaps,
  EPSILON,
  moduleParameters,
  poolTokens,
  pooledIncrements,
  type SideNetwork,
} from './side-network.ts';

export interface MietSettings {
  layout: TokenLayout;
  classes: number;
  /** k: S_k = z_0 + ... + z_k is all that the adaptor sees. */
  upto: number;
  /** T: LSA modules in the adaptor. */
  depth: number;
  rank: number;
  pool: Pool;
  form: StepForm;
}

/**
 * MIET, Minimal Interaction Edge Tuning (later MIST; arXiv 2406.17559), re-implemented from public descriptions.
 *
 * Gather*(x, k) = z_0 + ... + z_k is the one map that leaves the server; the edge network is `depth` LSA modules on
 * it, pooling, a trained LayerNorm and a linear classifier.
 */
export function miet(settings: MietSettings): Network {
  const { layout, classes, upto, depth, rank, pool, form } = settings;
  const side: SideNetwork = { layout, maps: 1, depth, rank, pool };
  return {
    maps: [{ kind: 'S', index: upto }],
    usesBase: false,
    modules: depth,
    parameters: [...moduleParameters(side), ...headParameters(layout.width, classes, true)],
    logits: (parameters, features) => {
      const gathered = poolTokens(side, features.maps[0] as Tensor3D);
      const adapted: Tensor2D = add(gathered, pooledIncrements(form, side, parameters, features));
      return headLogits(parameters, adapted, { epsilon: EPSILON });
    },
    attention: (parameters, features) => attentionMaps(side, parameters, features),
  };
}

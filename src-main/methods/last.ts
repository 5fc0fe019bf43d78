import { add, type Tensor2D } from '@tensorflow/tfjs-core';
import { headLogits, headParameters } from './head.ts';
import type { FrozenNorm, Network, Pool, StepForm, TokenLayout } from './network.ts';
import { attentionMaps, moduleParameters, pooledIncrements, type SideNetwork } from './side-network.ts';

export interface LastSettings {
  layout: TokenLayout;
  norm: FrozenNorm;
  classes: number;
  /** L, the backbone's number of blocks. */
  blocks: number;
  /** g: every g-th block feeds the ladder; divides `blocks`. */
  group: number;
  /** T: LSA modules at each rung. */
  depth: number;
  rank: number;
  pool: Pool;
  form: StepForm;
}

/**
 * LAST, Low-rank Attention Side-Tuning (Tang et al., arXiv 2402.04009), re-implemented from public descriptions.
 *
 * With t_j the output of block j g and P_i = t_0 + ... + t_i: u_0 = t_0, u_i = F_i(u_{i-1} + t_i), F_i a chain of
 * `depth` LSA modules; the result h = u_m - (t_0 + ... + t_{m-1}) is the frozen output t_m plus every increment.
 * The state that F_i starts from is P_i plus the increments so far, which is how it is written here.
 * At the start every increment is zero, and LAST is linear probing.
 * @throws RangeError when the group does not divide the number of blocks.
 */
export function last(settings: LastSettings): Network {
  const { layout, norm, classes, blocks, group, depth, rank, pool, form } = settings;
  if (blocks % group !== 0) throw new RangeError(`Group ${group} does not divide the backbone's ${blocks} blocks.`);
  const rungs = blocks / group;
  const side: SideNetwork = { layout, maps: rungs, depth, rank, pool };
  return {
    maps: Array.from({ length: rungs }, (_, index) => ({ kind: 'P', group, index: index + 1 })),
    usesBase: true,
    modules: rungs * depth,
    parameters: [...moduleParameters(side), ...headParameters(layout.width, classes, false)],
    logits: (parameters, features) => {
      const adapted: Tensor2D = add(features.base as Tensor2D, pooledIncrements(form, side, parameters, features));
      return headLogits(parameters, adapted, { frozen: norm });
    },
    attention: (parameters, features) => attentionMaps(side, parameters, features),
  };
}

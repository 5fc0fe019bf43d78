import type { Tensor } from '@tensorflow/tfjs-core';

export type Pool = 'cls' | 'mean';

/** The two ways to compute the same side network: `plain` is the definition, `low-rank` never forms the state. */
export type StepForm = 'plain' | 'low-rank';

/** How the tokens of a backbone's maps are laid out: `tokens` rows of `width`, the first `prefix` of them CLS, registers and the like. */
export interface TokenLayout {
  tokens: number;
  width: number;
  prefix: number;
}

/** The backbone's final LayerNorm, frozen. `scale` and `shift` have `width` elements. */
export interface FrozenNorm {
  scale: Float32Array;
  shift: Float32Array;
  epsilon: number;
}

/** Where a parameter starts: all of one value, or normal with mean 0 and this standard deviation. */
export type Initial = { value: number } | { deviation: number };

export interface ParameterSpec {
  name: string;
  shape: readonly number[];
  /** The head may learn at a rate of its own. */
  part: 'side' | 'head';
  /** Weight decay applies to matrices only. */
  decay: boolean;
  initial: Initial;
}

/** A sum of block outputs that a network reads: P_index over groups of `group` blocks, or S_index over blocks. */
export type BaseMap = { kind: 'P'; group: number; index: number } | { kind: 'S'; index: number };

/** Features of a batch, as tensors. Row sums are over the width and belong to the map beside them. */
export interface Features {
  /** [batch, tokens, width], one for each of the network's maps, in order. */
  maps: readonly Tensor[];
  /** [batch, tokens] each; only the low-rank form reads them. */
  rowSums?: readonly Tensor[];
  rowSquareSums?: readonly Tensor[];
  /** [batch, width]: z_L pooled, before the final LayerNorm; MIET has none. */
  base?: Tensor;
  /** [batch, modules]: 0 where a module's increment is dropped, 1 / (1 - drop-path) where it is kept; absent when evaluating. */
  keep?: Tensor;
}

/** Where the modules of a side network look. Each row over the tokens is made of shares: it sums to 1. */
export interface AttentionMaps {
  /** [batch, modules, tokens]: the attention that each token receives from what is pooled. */
  received: Tensor;
  /** [batch, tokens]: the same through all modules, residuals counted. */
  rollout: Tensor;
  /** [batch, modules]: Euclidean norm of what each module adds to the pooled features. */
  increments: Tensor;
}

/** A method with its settings fixed: which features it reads, what it learns, and its logits as TF.js ops. */
export interface Network {
  readonly maps: readonly BaseMap[];
  readonly usesBase: boolean;
  /** Number of LSA modules: the width of `Features.keep`. */
  readonly modules: number;
  readonly parameters: readonly ParameterSpec[];
  /** [batch, classes]. `parameters` holds a tensor for every name in `this.parameters`. */
  logits(parameters: Readonly<Record<string, Tensor>>, features: Features): Tensor;
  /** Absent where there are no modules. `features` need no row sums. */
  attention?: (parameters: Readonly<Record<string, Tensor>>, features: Features) => AttentionMaps;
}

import {
  add,
  concat,
  div,
  matMul,
  mean,
  mul,
  reciprocal,
  relu,
  reshape,
  slice,
  softmax,
  split,
  sqrt,
  square,
  squeeze,
  sub,
  sum,
  tensor3d,
  type Tensor,
  type Tensor1D,
  type Tensor2D,
  type Tensor3D,
} from '@tensorflow/tfjs-core';
import { attention } from './attention.ts';
import type { AttentionMaps, Features, ParameterSpec, Pool, StepForm, TokenLayout } from './network.ts';
import { centredProjection, normProject, rowTimes, transposed } from './normalize.ts';

/** LayerNorm's epsilon inside the side network, that of the ViTs it stands beside. */
export const EPSILON = 1e-6;

/** A chain of LSA modules beside a list of base maps, `depth` of them on each map. */
export interface SideNetwork {
  layout: TokenLayout;
  maps: number;
  depth: number;
  rank: number;
  pool: Pool;
}

/**
 * Parameters of the LSA modules (LAST, arXiv 2402.04009; shared by MIET's adaptor, arXiv 2406.17559): LayerNorm, one
 * matrix for query, key and value, and the way up, zero at the start so that a new side network changes nothing.
 */
export function moduleParameters({ layout: { width }, maps, depth, rank }: SideNetwork): ParameterSpec[] {
  return Array.from({ length: maps * depth }, (_, index): ParameterSpec[] => {
    const name = `modules.${index}`;
    return [
      { name: `${name}.norm.scale`, shape: [width], part: 'side', decay: false, initial: { value: 1 } },
      { name: `${name}.norm.shift`, shape: [width], part: 'side', decay: false, initial: { value: 0 } },
      {
        name: `${name}.qkv`,
        shape: [width, 3 * rank],
        part: 'side',
        decay: true,
        initial: { deviation: width ** -0.5 },
      },
      { name: `${name}.out`, shape: [rank, width], part: 'side', decay: true, initial: { value: 0 } },
    ];
  }).flat();
}

interface Module {
  scale: Tensor1D;
  shift: Tensor1D;
  qkv: Tensor2D;
  out: Tensor2D;
}

function moduleAt(parameters: Readonly<Record<string, Tensor>>, index: number): Module {
  const at = (part: string) => parameters[`modules.${index}.${part}`]!;
  return {
    scale: at('norm.scale') as Tensor1D,
    shift: at('norm.shift') as Tensor1D,
    qkv: at('qkv') as Tensor2D,
    out: at('out') as Tensor2D,
  };
}

function modulesOf({ maps, depth }: SideNetwork, parameters: Readonly<Record<string, Tensor>>): Module[] {
  return Array.from({ length: maps * depth }, (_, index) => moduleAt(parameters, index));
}

/**
 * What the side network adds to the pooled features, [batch, width]: the pooled sum of all increments A_j O_j.
 *
 * The state before module j is its base map plus the increments so far, since every module f(X) = X + A O has a
 * residual; and as pooling is linear, the increments are pooled before they are projected up.
 */
export function pooledIncrements(
  form: StepForm,
  network: SideNetwork,
  parameters: Readonly<Record<string, Tensor>>,
  features: Features,
): Tensor2D {
  const modules = modulesOf(network, parameters);
  return form === 'plain' ? plainForm(network, modules, features) : lowRankForm(network, modules, features);
}

/** The definition: the state is formed, [batch * tokens, width], and each module attends over it. */
function plainForm(network: SideNetwork, modules: readonly Module[], features: Features): Tensor2D {
  return walkModules(network, modules, features, (qkv, index) =>
    attend(network, qkv, index === modules.length - 1, keepOf(features, index)),
  );
}

/**
 * Goes through the modules in the plain form. `visit` is given each module's queries, keys and values,
 * [batch * tokens, 3 * rank], and gives what they attend to, [batch, tokens, rank].
 * @returns the pooled sum of all increments, [batch, width]
 */
function walkModules(
  network: SideNetwork,
  modules: readonly Module[],
  features: Features,
  visit: (qkv: Tensor2D, index: number) => Tensor3D,
): Tensor2D {
  const { tokens, width } = network.layout;
  let increments: Tensor2D | undefined;
  let pooled: Tensor2D | undefined;
  modules.forEach((module, index) => {
    const map = features.maps[Math.floor(index / network.depth)]!;
    const base = reshape(map, [map.shape[0] * tokens, width]) as Tensor2D;
    const state: Tensor2D = increments ? add(base, increments) : base;
    const attended = visit(normProject(state, module.scale, module.shift, module.qkv, EPSILON), index);
    pooled = plus(pooled, matMul(poolTokens(network, attended), module.out));
    const last = index === modules.length - 1;
    if (!last) increments = plus(increments, matMul(reshape(attended, [-1, network.rank]), module.out));
  });
  return pooled!;
}

/**
 * Where the modules look, in the plain form and without dropping any; see `AttentionMaps`.
 *
 * With W_j the attention matrix of module j (its rows sum to 1) and p the pooling as a row of weights over tokens (CLS,
 * or the mean of the patches), `received` is p W_j: exactly the weights by which the tokens' values enter what module j
 * adds to the pooled features. `rollout` is attention rollout (Abnar and Zuidema, arXiv 2005.00928, eq. 1) through the
 * side network alone, p (W_m + I)/2 ... (W_1 + I)/2: what the frozen ViT had mixed before is no part of it.
 */
export function attentionMaps(
  network: SideNetwork,
  parameters: Readonly<Record<string, Tensor>>,
  features: Features,
): AttentionMaps {
  const { tokens, prefix } = network.layout;
  const modules = modulesOf(network, parameters);
  const matrices: Tensor3D[] = [];
  const increments: Tensor2D[] = [];
  walkModules(network, modules, features, (qkv, index) => {
    const [q, k, v] = queriesKeysValues(network, qkv);
    const weights: Tensor3D = softmax(matMul(mul(q, network.rank ** -0.5), k, false, true));
    const attended: Tensor3D = matMul(weights, v);
    const increment = matMul(poolTokens(network, attended), modules[index]!.out);
    matrices.push(weights);
    increments.push(sqrt(sum(square(increment), 1, true)));
    return attended;
  });
  const received = matrices.map((weights) => reshape(poolTokens(network, weights), [-1, 1, tokens]) as Tensor3D);
  const pooling = Array.from({ length: tokens }, (_, token) => {
    if (network.pool === 'cls') return token === 0 ? 1 : 0;
    return token < prefix ? 0 : 1 / (tokens - prefix);
  });
  let rolled: Tensor3D = mul(add(received.at(-1)!, tensor3d(pooling, [1, 1, tokens])), 0.5);
  for (const weights of matrices.slice(0, -1).reverse()) rolled = mul(add(matMul(rolled, weights), rolled), 0.5);
  return {
    received: concat(received, 1),
    rollout: reshape(rolled, [-1, tokens]),
    increments: concat(increments, 1),
  };
}

/**
 * The same numbers without ever forming the state u = P + A O, where A [rows, R] and O [R, width] hold all increments
 * so far. With V the centred projection of `normProject`,
 *   u V = P V + A (O V),   sum(u) = sum(P) + A sum(O),   sum(u^2) = sum(P^2) + rowsum(A * (2 P O^T + A O O^T)),
 * so each base map is read in one product, P [V_1 .. V_depth | O^T], and all else is narrow.
 */
function lowRankForm(network: SideNetwork, modules: readonly Module[], features: Features): Tensor2D {
  const { tokens, width } = network.layout;
  const { depth, rank } = network;
  let increments: Tensor2D | undefined;
  let ups: Tensor2D | undefined;
  let pooled: Tensor2D | undefined;
  for (let group = 0; group < network.maps; group++) {
    const map = features.maps[group]!;
    const rows = map.shape[0] * tokens;
    const base = reshape(map, [rows, width]) as Tensor2D;
    const rowSums = reshape(features.rowSums![group]!, [rows, 1]) as Tensor2D;
    const rowSquareSums = reshape(features.rowSquareSums![group]!, [rows, 1]) as Tensor2D;
    const members = modules.slice(group * depth, (group + 1) * depth);
    const projections = members.map((module) => centredProjection(module.scale, module.qkv));
    // Ways up that a module of this group meets in its state: all earlier ones, and its group's but the last.
    const known = [...modules.slice(0, group * depth), ...members.slice(0, -1)].map((module) => transposed(module.out));
    const sizes = members.map(() => 3 * rank);
    if (known.length > 0) sizes.push(known.length * rank);
    const product = matMul(base, concat([...projections, ...known], 1));
    // TF.js has no gradient for a split into one.
    const products = sizes.length === 1 ? [product] : split(product, sizes, 1);
    const baseTimesUps = products[depth];

    members.forEach((module, member) => {
      const index = group * depth + member;
      const projection = projections[member]!;
      let raw = products[member]!;
      let total = rowSums;
      let squares = rowSquareSums;
      if (increments && ups) {
        const narrow = increments.shape[1];
        const cross = slice(baseTimesUps!, [0, 0], [rows, narrow]);
        raw = add(raw, matMul(increments, matMul(ups, projection)));
        total = add(total, matMul(increments, sum(ups, 1, true)));
        const gram = matMul(ups, ups, false, true);
        squares = add(squares, sum(mul(increments, add(mul(cross, 2), matMul(increments, gram))), 1, true));
      }
      const average = div(total, width);
      // A nearly constant row may come out a hair below zero.
      const variance = relu(sub(div(squares, width), square(average)));
      const rstd = reciprocal(sqrt(add(variance, EPSILON)));
      const qkv: Tensor2D = add(mul(raw, rstd), rowTimes(module.shift, module.qkv));
      const last = index === modules.length - 1;
      const attended = attend(network, qkv, last, keepOf(features, index));
      pooled = plus(pooled, matMul(poolTokens(network, attended), module.out));
      if (last) return;
      const increment = reshape(attended, [rows, rank]) as Tensor2D;
      increments = increments ? concat([increments, increment], 1) : increment;
      ups = ups ? concat([ups, module.out], 0) : module.out;
    });
  }
  return pooled!;
}

/** Attention over [batch * tokens, 3 * rank]; the last module of a CLS-pooled network needs the CLS query only. */
function attend(network: SideNetwork, qkv: Tensor2D, last: boolean, keep: Tensor3D | undefined): Tensor3D {
  const [q, k, v] = queriesKeysValues(network, qkv);
  const queries = last && network.pool === 'cls' ? slice(q, [0, 0, 0], [-1, 1, -1]) : q;
  const attended = attention(queries, k, v);
  return keep ? mul(attended, keep) : attended;
}

/** [batch, tokens, rank] each. */
function queriesKeysValues({ layout, rank }: SideNetwork, qkv: Tensor2D): [Tensor3D, Tensor3D, Tensor3D] {
  return split(reshape(qkv, [-1, layout.tokens, 3 * rank]), 3, 2) as [Tensor3D, Tensor3D, Tensor3D];
}

function keepOf(features: Features, index: number): Tensor3D | undefined {
  if (!features.keep) return undefined;
  return reshape(slice(features.keep, [0, index], [-1, 1]), [-1, 1, 1]) as Tensor3D;
}

/** CLS row, or mean of the patch tokens: [batch, tokens, columns] to [batch, columns]. */
export function poolTokens({ layout, pool }: Pick<SideNetwork, 'layout' | 'pool'>, x: Tensor3D): Tensor2D {
  if (pool === 'cls') return squeeze(slice(x, [0, 0, 0], [-1, 1, -1]), [1]);
  return mean(slice(x, [0, layout.prefix, 0], [-1, -1, -1]), 1);
}

function plus(sumSoFar: Tensor2D | undefined, term: Tensor2D): Tensor2D {
  return sumSoFar ? add(sumSoFar, term) : term;
}

/**
 * LAST and MIET straight from methods' sources, in textbook ops and TF.js's own derivatives: what the fast forms are
 * compared with. Nothing of src-main/methods is used.
 */
import * as tf from '@tensorflow/tfjs-core';

export type Parameters = Readonly<Record<string, tf.Tensor>>;
type Pool = 'cls' | 'mean';

const EPSILON = 1e-6;

function layerNorm(x: tf.Tensor, scale: tf.Tensor, shift: tf.Tensor): tf.Tensor {
  const mean = tf.mean(x, -1, true);
  const centred = tf.sub(x, mean);
  const variance = tf.mean(tf.square(centred), -1, true);
  return tf.add(tf.mul(tf.div(centred, tf.sqrt(tf.add(variance, EPSILON))), scale), shift);
}

/** [batch, n, d] times [d, c] */
function times(x: tf.Tensor, w: tf.Tensor): tf.Tensor {
  const [batch, n, d] = x.shape as [number, number, number];
  return tf.reshape(tf.matMul(tf.reshape(x, [batch * n, d]) as tf.Tensor2D, w as tf.Tensor2D), [batch, n, w.shape[1]!]);
}

/** f(X) = X + softmax(Q K^T / sqrt r) V A_O on LayerNorm(X); `keep` scales the increment of each image. */
export function module(parameters: Parameters, index: number, x: tf.Tensor, keep?: tf.Tensor): tf.Tensor {
  const at = (part: string) => parameters[`modules.${index}.${part}`]!;
  const qkv = times(layerNorm(x, at('norm.scale'), at('norm.shift')), at('qkv'));
  const [q, k, v] = tf.split(qkv, 3, 2) as [tf.Tensor, tf.Tensor, tf.Tensor];
  const rank = q.shape[2]!;
  const weights = tf.softmax(tf.div(tf.matMul(q, k, false, true), Math.sqrt(rank)));
  const increment = times(tf.matMul(weights, v), at('out'));
  const scaled = keep ? tf.mul(increment, tf.reshape(tf.slice(keep, [0, index], [-1, 1]), [-1, 1, 1])) : increment;
  return tf.add(x, scaled);
}

function pooled(h: tf.Tensor, pool: Pool, prefix: number): tf.Tensor {
  if (pool === 'cls') return tf.squeeze(tf.slice(h, [0, 0, 0], [-1, 1, -1]), [1]);
  return tf.mean(tf.slice(h, [0, prefix, 0], [-1, -1, -1]), 1);
}

function classify(parameters: Parameters, x: tf.Tensor): tf.Tensor {
  return tf.add(tf.matMul(x as tf.Tensor2D, parameters['head.weight'] as tf.Tensor2D), parameters['head.bias']!);
}

/** t: t_0 .. t_m, [batch, n, d] each. u_0 = t_0; u_i = F_i(u_{i-1} + t_i); h = u_m - (t_0 + ... + t_{m-1}). */
export function last(
  parameters: Parameters,
  t: readonly tf.Tensor[],
  depth: number,
  pool: Pool,
  prefix: number,
  norm: { scale: Float32Array; shift: Float32Array },
  keep?: tf.Tensor,
): tf.Tensor {
  let u = t[0]!;
  let index = 0;
  for (const feature of t.slice(1)) {
    u = tf.add(u, feature);
    for (let i = 0; i < depth; i++) u = module(parameters, index++, u, keep);
  }
  const h = tf.sub(u, tf.addN(t.slice(0, -1)));
  return classify(parameters, layerNorm(pooled(h, pool, prefix), tf.tensor1d(norm.scale), tf.tensor1d(norm.shift)));
}

/** Modules on the gathered sum, pooling, a trained LayerNorm, a linear layer. */
export function miet(
  parameters: Parameters,
  gathered: tf.Tensor,
  depth: number,
  pool: Pool,
  prefix: number,
  keep?: tf.Tensor,
): tf.Tensor {
  let u = gathered;
  for (let index = 0; index < depth; index++) u = module(parameters, index, u, keep);
  return classify(
    parameters,
    layerNorm(pooled(u, pool, prefix), parameters['head.norm.scale']!, parameters['head.norm.shift']!),
  );
}

/** Linear probing of z_L. */
export function linear(
  parameters: Parameters,
  z: tf.Tensor,
  pool: Pool,
  prefix: number,
  norm: { scale: Float32Array; shift: Float32Array },
): tf.Tensor {
  return classify(parameters, layerNorm(pooled(z, pool, prefix), tf.tensor1d(norm.scale), tf.tensor1d(norm.shift)));
}

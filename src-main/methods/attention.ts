import {
  concat,
  customGrad,
  matMul,
  mul,
  neg,
  ones,
  softmax,
  sum,
  type Tensor,
  type Tensor3D,
} from '@tensorflow/tfjs-core';

/**
 * Single-head attention (Vaswani et al., arXiv 1706.03762, eq. 1): softmax(Q K^T / sqrt(rank)) V.
 *
 * The gradient is written as the five products it is. With A the output and W the softmax,
 * dScores = W * (dA V^T - rowsum(dA * A)); the row sum is carried through the product as one more column.
 * @param q [batch, queries, rank]
 * @param k [batch, tokens, rank]
 * @param v [batch, tokens, rank]
 * @returns [batch, queries, rank]
 */
export function attention(q: Tensor3D, k: Tensor3D, v: Tensor3D): Tensor3D {
  const scale = q.shape[2] ** -0.5;
  return customGrad((...args: unknown[]) => {
    const [queries, keys, values, save] = args as [Tensor3D, Tensor3D, Tensor3D, (tensors: Tensor[]) => void];
    const scaled = mul(queries, scale);
    const weights: Tensor3D = softmax(matMul(scaled, keys, false, true));
    const attended: Tensor3D = matMul(weights, values);
    save([scaled, keys, values, weights, attended]);
    return {
      value: attended,
      gradFunc: (dy: Tensor, saved: Tensor[]) => {
        const [qs, ks, vs, w, a] = saved as [Tensor3D, Tensor3D, Tensor3D, Tensor3D, Tensor3D];
        const shared = neg(sum(mul(dy, a), 2, true));
        const column = ones([vs.shape[0], vs.shape[1], 1]);
        const dScores = mul(w, matMul(concat([dy, shared], 2), concat([vs, column], 2), false, true));
        return [mul(matMul(dScores, ks), scale), matMul(dScores, qs, true, false), matMul(w, dy, true, false)];
      },
    };
  })(q, k, v);
}

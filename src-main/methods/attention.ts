import {
  concat,
  customGrad,
  matMul,
  mul,
  neg,
  ones,
  softmax,
  sum,
  transpose,
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
      gradFunc: (dOut: Tensor, saved: Tensor[]) => {
        const dy = dOut as Tensor3D;
        const [qs, ks, vs, w, a] = saved as [Tensor3D, Tensor3D, Tensor3D, Tensor3D, Tensor3D];
        const shared = neg(sum(mul(dy, a), 2, true));
        const column = ones([vs.shape[0], vs.shape[1], 1]);
        const dScores: Tensor3D = mul(w, matMul(concat([dy, shared], 2), concat([vs, column], 2), false, true));
        return [mul(matMul(dScores, ks), scale), transposedProduct(dScores, qs), transposedProduct(w, dy)];
      },
    };
  })(q, k, v);
}

/** wide^T narrow, as (narrow^T wide)^T: what is transposed is the narrow matrix. */
function transposedProduct(wide: Tensor3D, narrow: Tensor3D): Tensor3D {
  return transpose(matMul(narrow, wide, true, false), [0, 2, 1]);
}

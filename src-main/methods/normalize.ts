import {
  add,
  customGrad,
  engine,
  matMul,
  mean,
  mul,
  neg,
  reshape,
  sub,
  sum,
  transpose,
  type NamedTensorMap,
  type Tensor,
  type Tensor1D,
  type Tensor2D,
} from '@tensorflow/tfjs-core';

/**
 * Normalizes rows to mean 0 and variance 1: `[(x - mean) * rstd, rstd]`, rstd = 1 / sqrt(variance + epsilon).
 *
 * One kernel rather than six ops, because it is the widest arithmetic of a step; every engine registers it.
 * It has no gradient of its own: the functions here that use it bring theirs.
 * @param x [rows, width]
 * @returns normalized [rows, width] and rstd [rows, 1]
 */
function normalize(x: Tensor2D, epsilon: number): [Tensor2D, Tensor2D] {
  const inputs = { x } as unknown as NamedTensorMap;
  return engine().runKernel('Normalize', inputs, { epsilon }) as unknown as [Tensor2D, Tensor2D];
}

/**
 * LayerNorm (Ba et al., arXiv 1607.06450) of rows, [rows, width].
 * Gradient: rstd * (g - mean(g) - xhat * mean(g * xhat)), g = dy * scale.
 */
export function layerNorm(x: Tensor2D, scale: Tensor1D, shift: Tensor1D, epsilon: number): Tensor2D {
  return customGrad((...args: unknown[]) => {
    const [input, gamma, beta, save] = args as [Tensor2D, Tensor1D, Tensor1D, (tensors: Tensor[]) => void];
    const [normalized, rstd] = normalize(input, epsilon);
    save([normalized, rstd, gamma]);
    return {
      value: add(mul(normalized, gamma), beta),
      gradFunc: (dy: Tensor, saved: Tensor[]) => {
        const [xhat, deviation, weight] = saved as [Tensor2D, Tensor2D, Tensor1D];
        const scaled = mul(dy, weight);
        const along = mean(mul(scaled, xhat), 1, true);
        const centred = sub(sub(scaled, mean(scaled, 1, true)), mul(xhat, along));
        return [mul(centred, deviation), sum(mul(dy, xhat), 0), sum(dy, 0)];
      },
    };
  })(x, scale, shift) as Tensor2D;
}

/**
 * LayerNorm followed by a projection, `LayerNorm(x) W`, without a bias of its own.
 *
 * With V = scale * W, columns centred to mean 0, the mean of x falls out: LayerNorm(x) W = xhat V + shift W. The
 * gradient to x then needs no row mean, and its part along xhat follows from the narrow product instead of the wide one:
 * dx = (rstd * g) V^T - xhat * rstd * sum(g * xhat V) / width. Only one [rows, width] product is formed.
 * @param x [rows, width]
 * @param weight [width, columns]
 * @returns [rows, columns]
 */
export function normProject(
  x: Tensor2D,
  scale: Tensor1D,
  shift: Tensor1D,
  weight: Tensor2D,
  epsilon: number,
): Tensor2D {
  const width = x.shape[1];
  return customGrad((...args: unknown[]) => {
    const [input, gamma, beta, matrix, save] = args as [
      Tensor2D,
      Tensor1D,
      Tensor1D,
      Tensor2D,
      (tensors: Tensor[]) => void,
    ];
    const [normalized, rstd] = normalize(input, epsilon);
    const centred = centredProjection(gamma, matrix);
    const projected: Tensor2D = matMul(normalized, centred);
    save([normalized, rstd, centred, projected, gamma, beta, matrix]);
    return {
      value: add(projected, rowTimes(beta, matrix)),
      gradFunc: (dy: Tensor, saved: Tensor[]) => {
        const [xhat, deviation, projection, product, a, b, w] = saved as [
          Tensor2D,
          Tensor2D,
          Tensor2D,
          Tensor2D,
          Tensor1D,
          Tensor1D,
          Tensor2D,
        ];
        const g = dy as Tensor2D;
        const along = mul(deviation, mul(sum(mul(g, product), 1, true), -1 / width));
        const dx = add(matMul(mul(g, deviation), projection, false, true), mul(xhat, along));
        // The narrow matrix is the one transposed: the wide one would be copied, three times the cost.
        const outer = transposed(matMul(g, xhat, true, false));
        const total: Tensor1D = sum(g, 0);
        const dWeight = add(mul(outer, reshape(a, [width, 1])), mul(reshape(b, [width, 1]), reshape(total, [1, -1])));
        const dShift = reshape(matMul(w, reshape(total, [-1, 1])), [width]);
        return [dx, sum(mul(outer, w), 1), dShift, dWeight];
      },
    };
  })(x, scale, shift, weight) as Tensor2D;
}

/** scale * W with every column's mean taken off: LayerNorm's centring, moved into the weights. [width, columns] */
export function centredProjection(scale: Tensor1D, weight: Tensor2D): Tensor2D {
  const scaled = mul(reshape(scale, [-1, 1]), weight);
  return add(scaled, neg(mean(scaled, 0, true)));
}

/** vector [width] times matrix [width, columns]: [1, columns]. */
export function rowTimes(vector: Tensor1D, matrix: Tensor2D): Tensor2D {
  return matMul(reshape(vector, [1, -1]), matrix);
}

/** Transpose of a matrix; kept here so that callers need no permutation. */
export function transposed(matrix: Tensor2D): Tensor2D {
  return transpose(matrix, [1, 0]);
}

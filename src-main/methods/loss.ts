import {
  add,
  logSoftmax,
  mean,
  mul,
  neg,
  oneHot,
  sub,
  sum,
  type Tensor,
  type Tensor1D,
  type Tensor2D,
} from '@tensorflow/tfjs-core';

/**
 * Cross-entropy of each image, [batch], with label smoothing (Szegedy et al., arXiv 1512.00567):
 * (1 - s) * -log p(label) + s * mean over classes of -log p.
 * @param logits [batch, classes]
 * @param labels [batch], int32
 * @param smoothing s, or a tensor [1] with it
 */
export function crossEntropy(logits: Tensor2D, labels: Tensor1D, smoothing: number | Tensor1D): Tensor1D {
  const logProbabilities: Tensor = logSoftmax(logits);
  const picked: Tensor1D = sum(mul(logProbabilities, oneHot(labels, logits.shape[1], 1, 0, 'float32')), 1);
  if (smoothing === 0) return neg(picked);
  const spread = mean(logProbabilities, 1);
  return neg(add(mul(picked, sub(1, smoothing)), mul(spread, smoothing)));
}

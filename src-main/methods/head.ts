import { add, matMul, tensor1d, type Tensor, type Tensor1D, type Tensor2D } from '@tensorflow/tfjs-core';
import type { FrozenNorm, ParameterSpec } from './network.ts';
import { layerNorm } from './normalize.ts';

/** Deviation of the classifier's weights at the start; small, so that the first loss is near log(classes). */
const HEAD_DEVIATION = 0.01;

/** The classifier, [width, classes] and [classes], and for MIET a LayerNorm of its own before it. */
export function headParameters(width: number, classes: number, trainedNorm: boolean): ParameterSpec[] {
  const norm: ParameterSpec[] = [
    { name: 'head.norm.scale', shape: [width], part: 'head', decay: false, initial: { value: 1 } },
    { name: 'head.norm.shift', shape: [width], part: 'head', decay: false, initial: { value: 0 } },
  ];
  return [
    ...(trainedNorm ? norm : []),
    { name: 'head.weight', shape: [width, classes], part: 'head', decay: true, initial: { deviation: HEAD_DEVIATION } },
    { name: 'head.bias', shape: [classes], part: 'head', decay: false, initial: { value: 0 } },
  ];
}

/** Logits [batch, classes] of pooled features [batch, width]: LayerNorm (frozen, or the head's own), then linear. */
export function headLogits(
  parameters: Readonly<Record<string, Tensor>>,
  pooled: Tensor2D,
  norm: { frozen: FrozenNorm } | { epsilon: number },
): Tensor2D {
  const frozen = 'frozen' in norm ? norm.frozen : undefined;
  const scale = frozen ? tensor1d(frozen.scale) : (parameters['head.norm.scale'] as Tensor1D);
  const shift = frozen ? tensor1d(frozen.shift) : (parameters['head.norm.shift'] as Tensor1D);
  const epsilon = 'frozen' in norm ? norm.frozen.epsilon : norm.epsilon;
  const normalized = layerNorm(pooled, scale, shift, epsilon);
  return add(matMul(normalized, parameters['head.weight'] as Tensor2D), parameters['head.bias']!);
}

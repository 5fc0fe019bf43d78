import {
  add,
  engine,
  mean,
  mul,
  registerKernel,
  rsqrt,
  square,
  sub,
  type Tensor2D,
  type TensorInfo,
} from '@tensorflow/tfjs-core';
import { recordKernel } from './trace/backend.ts';

/**
 * The TF.js kernel 'Normalize', `x [rows, width] -> [(x - mean) * rstd, rstd]`, that the methods use: recorded as
 * ONNX's LayerNormalization (its third output is rstd), composed of TF.js ops on the other backends.
 */
const KERNEL = 'Normalize';

recordKernel<{ epsilon: number }>(KERNEL, ({ recorder, inputs: { x }, attributes: { epsilon } }) => {
  const [rows, width] = x!.shape as [number, number];
  const column = { shape: [rows, 1] };
  const [normalized, , rstd] = recorder.several(
    'LayerNormalization',
    [x!, recorder.uniform(1, [width])],
    [x!, column, column].map(({ shape }) => ({ shape })),
    {
      axis: 1,
      epsilon: { float: epsilon },
    },
  );
  return [normalized!, rstd!];
});

/** Registers the kernel for a backend that computes, if it has none yet. */
export function registerNormalize(backendName: string): void {
  if (registered.has(backendName)) return;
  registered.add(backendName);
  registerKernel({
    kernelName: KERNEL,
    backendName,
    kernelFunc: ({ inputs, attrs }) => {
      const x = engine().makeTensorFromTensorInfo(inputs.x as TensorInfo) as Tensor2D;
      const centred = sub(x, mean(x, 1, true));
      const rstd = rsqrt(add(mean(square(centred), 1, true), (attrs as unknown as { epsilon: number }).epsilon));
      return [mul(centred, rstd), rstd];
    },
  });
}

const registered = new Set<string>();

import { backend_util, util, type DataType } from '@tensorflow/tfjs-core';
import { recordKernel, type KernelCall } from '../backend.ts';
import { type Recorder, type Value } from '../recorder.ts';

type Call<Attributes = object> = KernelCall<Attributes>;

interface MatMul {
  transposeA: boolean;
  transposeB: boolean;
}

recordKernel('BatchMatMul', ({ recorder, inputs: { a, b }, attributes }: Call<MatMul>) =>
  matMul(recorder, a!, b!, attributes),
);
recordKernel('_FusedMatMul', ({ recorder, inputs, attributes }: Call<MatMul & { activation: string }>) => {
  const product = matMul(recorder, inputs.a!, inputs.b!, attributes);
  const biased = inputs.bias ? recorder.binary('Add', product, inputs.bias, product.shape, 'float32') : product;
  if (attributes.activation === 'relu') return recorder.node('Relu', [biased], { shape: biased.shape });
  return biased;
});

/** onnxruntime folds a transpose of the last two axes into the product, on CPU at no cost. */
function matMul(recorder: Recorder, a: Value, b: Value, { transposeA, transposeB }: MatMul): Value {
  const left = transposeA ? swapLast(recorder, a) : a;
  const right = transposeB ? swapLast(recorder, b) : b;
  const batch = backend_util.assertAndGetBroadcastShape([...left.shape.slice(0, -2)], [...right.shape.slice(0, -2)]);
  return recorder.node('MatMul', [left, right], { shape: [...batch, left.shape.at(-2)!, right.shape.at(-1)!] });
}

function swapLast(recorder: Recorder, x: Value): Value {
  const rank = x.shape.length;
  const perm = x.shape.map((_, axis) => (axis === rank - 2 ? rank - 1 : axis === rank - 1 ? rank - 2 : axis));
  return recorder.node('Transpose', [x], { shape: perm.map((axis) => x.shape[axis]!), dtype: x.dtype }, { perm });
}

const reductions: Record<string, string> = { Sum: 'ReduceSum', Max: 'ReduceMax', Min: 'ReduceMin', Prod: 'ReduceProd' };
for (const [kernel, op] of Object.entries(reductions)) {
  recordKernel(kernel, ({ recorder, inputs: { x }, attributes }: Call<Reduction>) => {
    const axes = util.parseAxisParam(attributes.axis ?? attributes.reductionIndices ?? null!, [...x!.shape]);
    // TF.js sums booleans as integers.
    const numbers = x!.dtype === 'bool' ? recorder.cast(x!, 'int32') : x!;
    return recorder.reduce(op, numbers, axes, attributes.keepDims ?? false);
  });
}
recordKernel('Mean', ({ recorder, inputs: { x }, attributes: { axis, keepDims } }: Call<Reduction>) => {
  const axes = util.parseAxisParam(axis!, [...x!.shape]);
  return recorder.reduce('ReduceMean', x!, axes, keepDims ?? false);
});
for (const [kernel, op] of [
  ['ArgMax', 'ArgMax'],
  ['ArgMin', 'ArgMin'],
] as const) {
  recordKernel(kernel, ({ recorder, inputs: { x }, attributes: { axis } }: Call<{ axis: number }>) => {
    const position = util.parseAxisParam(axis, [...x!.shape])[0]!;
    const shape = x!.shape.toSpliced(position, 1);
    // ONNX answers in int64; TF.js has no such type, so the node is followed by a cast.
    const index = recorder.node(op, [x!], { shape, dtype: 'float32' }, { axis: position, keepdims: 0 });
    return recorder.node('Cast', [index], { shape, dtype: 'int32' }, { to: 6 });
  });
}
/** `dim` is the axis; ONNX's Softmax and LogSoftmax have taken any axis since opset 13. */
recordKernel('Softmax', ({ recorder, inputs: { logits }, attributes: { dim } }: Call<{ dim: number }>) =>
  recorder.node('Softmax', [logits!], { shape: logits!.shape }, { axis: dim }),
);
recordKernel('LogSoftmax', ({ recorder, inputs: { logits }, attributes: { axis } }: Call<{ axis: number }>) =>
  recorder.node('LogSoftmax', [logits!], { shape: logits!.shape }, { axis }),
);
recordKernel(
  'Cumsum',
  ({ recorder, inputs: { x }, attributes }: Call<{ axis: number; exclusive: boolean; reverse: boolean }>) =>
    recorder.node(
      'CumSum',
      [x!, recorder.uniform(attributes.axis, [], 'int32')],
      { shape: x!.shape, dtype: x!.dtype },
      { exclusive: Number(attributes.exclusive), reverse: Number(attributes.reverse) },
    ),
);

interface Reduction {
  axis?: number | number[];
  reductionIndices?: number | number[];
  keepDims?: boolean;
  dtype?: DataType;
}

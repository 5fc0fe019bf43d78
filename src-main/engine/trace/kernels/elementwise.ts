import { backend_util, type DataType } from '@tensorflow/tfjs-core';
import { recordKernel, type KernelCall } from '../backend.ts';
import { sameShape, type Value } from '../recorder.ts';

type Call<Attributes = object> = KernelCall<Attributes>;

function broadcast(a: Value, b: Value): number[] {
  return backend_util.assertAndGetBroadcastShape([...a.shape], [...b.shape]);
}

/** Kernels of one operand that are one ONNX node of the same type and shape. */
const unary: Record<string, string> = {
  Abs: 'Abs',
  Acos: 'Acos',
  Acosh: 'Acosh',
  Asin: 'Asin',
  Asinh: 'Asinh',
  Atan: 'Atan',
  Atanh: 'Atanh',
  Ceil: 'Ceil',
  Cos: 'Cos',
  Cosh: 'Cosh',
  Erf: 'Erf',
  Exp: 'Exp',
  Floor: 'Floor',
  Log: 'Log',
  Neg: 'Neg',
  Reciprocal: 'Reciprocal',
  Relu: 'Relu',
  Round: 'Round',
  Sigmoid: 'Sigmoid',
  Sign: 'Sign',
  Sin: 'Sin',
  Sinh: 'Sinh',
  Sqrt: 'Sqrt',
  Softplus: 'Softplus',
  Tan: 'Tan',
  Tanh: 'Tanh',
  LogicalNot: 'Not',
};

for (const [kernel, op] of Object.entries(unary))
  recordKernel(kernel, ({ recorder, inputs: { x } }: Call) =>
    recorder.node(op, [x!], { shape: x!.shape, dtype: x!.dtype }),
  );

recordKernel('Elu', ({ recorder, inputs: { x } }: Call) =>
  recorder.node('Elu', [x!], { shape: x!.shape }, { alpha: { float: 1 } }),
);
/** dy times 1 where y >= 0, else y + 1. */
recordKernel('EluGrad', ({ recorder, inputs: { dy, y } }: Call) => {
  const shape = y!.shape;
  const one = recorder.uniform(1, shape);
  const positive = recorder.binary('GreaterOrEqual', y!, recorder.uniform(0, shape), shape, 'bool');
  const slope = recorder.node(
    'Where',
    [positive, recorder.uniform(1, []), recorder.binary('Add', y!, one, shape, 'float32')],
    { shape },
  );
  return recorder.binary('Mul', dy!, slope, shape, 'float32');
});
recordKernel('LeakyRelu', ({ recorder, inputs: { x }, attributes: { alpha } }: Call<{ alpha: number }>) =>
  recorder.node('LeakyRelu', [x!], { shape: x!.shape }, { alpha: { float: alpha } }),
);
recordKernel('Relu6', ({ recorder, inputs: { x } }: Call) =>
  recorder.node('Clip', [x!, recorder.uniform(0, [], x!.dtype), recorder.uniform(6, [], x!.dtype)], {
    shape: x!.shape,
    dtype: x!.dtype,
  }),
);
recordKernel(
  'ClipByValue',
  ({ recorder, inputs: { x }, attributes }: Call<{ clipValueMin: number; clipValueMax: number }>) =>
    recorder.node(
      'Clip',
      [x!, recorder.uniform(attributes.clipValueMin, []), recorder.uniform(attributes.clipValueMax, [])],
      { shape: x!.shape },
    ),
);
recordKernel('Expm1', ({ recorder, inputs: { x } }: Call) => {
  const exp = recorder.node('Exp', [x!], { shape: x!.shape });
  return recorder.binary('Sub', exp, recorder.uniform(1, x!.shape), x!.shape, 'float32');
});
recordKernel('Log1p', ({ recorder, inputs: { x } }: Call) =>
  recorder.node('Log', [recorder.binary('Add', x!, recorder.uniform(1, x!.shape), x!.shape, 'float32')], {
    shape: x!.shape,
  }),
);
recordKernel('Rsqrt', ({ recorder, inputs: { x } }: Call) =>
  recorder.node('Reciprocal', [recorder.node('Sqrt', [x!], { shape: x!.shape })], { shape: x!.shape }),
);
recordKernel('Square', ({ recorder, inputs: { x } }: Call) => recorder.binary('Mul', x!, x!, x!.shape, x!.dtype));
/** 1 where x > 0, else `alpha`. */
recordKernel('Step', ({ recorder, inputs: { x }, attributes: { alpha = 0 } }: Call<{ alpha?: number }>) => {
  const positive = recorder.binary('Greater', x!, recorder.uniform(0, x!.shape, x!.dtype), x!.shape, 'bool');
  return recorder.node('Where', [positive, recorder.uniform(1, []), recorder.uniform(alpha, [])], { shape: x!.shape });
});
recordKernel('IsNan', ({ recorder, inputs: { x } }: Call) =>
  recorder.node('IsNaN', [x!], { shape: x!.shape, dtype: 'bool' }),
);
recordKernel('Cast', ({ recorder, inputs: { x }, attributes: { dtype } }: Call<{ dtype: DataType }>) =>
  recorder.cast(x!, dtype),
);

recordKernel('Add', ({ recorder, inputs }: Call) => add(recorder, inputs.a!, inputs.b!));
recordKernel('AddN', ({ recorder, list }: Call) => list.reduce((sum, value) => add(recorder, sum, value)));
recordKernel('Sub', ({ recorder, inputs }: Call) => {
  const { a, b } = inputs as { a: Value; b: Value };
  const shape = broadcast(a, b);
  if (b.uniform === 0 && sameShape(a.shape, shape)) return a;
  return recorder.binary('Sub', a, b, shape, a.dtype);
});
recordKernel('Multiply', ({ recorder, inputs }: Call) => {
  const { a, b } = inputs as { a: Value; b: Value };
  const shape = broadcast(a, b);
  for (const [one, other] of [
    [a, b],
    [b, a],
  ] as const) {
    if (one.uniform === undefined) continue;
    if (other.uniform !== undefined) return recorder.uniform(Math.fround(one.uniform * other.uniform), shape, a.dtype);
    // `dy * ones(shape)` is how TF.js's gradients broadcast; do the arithmetic before the expansion.
    const scaled =
      one.uniform === 1 ? other : recorder.binary('Mul', other, { ...one, shape: other.shape }, other.shape, a.dtype);
    return recorder.expand(scaled, shape);
  }
  return recorder.binary('Mul', a, b, shape, a.dtype);
});
recordKernel('RealDiv', ({ recorder, inputs }: Call) => {
  const { a, b } = inputs as { a: Value; b: Value };
  const shape = broadcast(a, b);
  if (b.uniform === 1 && sameShape(a.shape, shape)) return recorder.cast(a, 'float32');
  return recorder.binary('Div', recorder.cast(a, 'float32'), recorder.cast(b, 'float32'), shape, 'float32');
});
recordKernel('FloorDiv', ({ recorder, inputs }: Call) => {
  const { a, b } = inputs as { a: Value; b: Value };
  const shape = broadcast(a, b);
  const quotient = recorder.binary('Div', recorder.cast(a, 'float32'), recorder.cast(b, 'float32'), shape, 'float32');
  return recorder.cast(recorder.node('Floor', [quotient], { shape }), 'int32');
});
recordKernel('SquaredDifference', ({ recorder, inputs }: Call) => {
  const { a, b } = inputs as { a: Value; b: Value };
  const shape = broadcast(a, b);
  const difference = recorder.binary('Sub', a, b, shape, a.dtype);
  return recorder.binary('Mul', difference, difference, shape, a.dtype);
});

const binary: Record<string, string> = { Maximum: 'Max', Minimum: 'Min', Pow: 'Pow' };
for (const [kernel, op] of Object.entries(binary))
  recordKernel(kernel, ({ recorder, inputs: { a, b } }: Call) =>
    recorder.binary(op, a!, b!, broadcast(a!, b!), a!.dtype),
  );

const comparison: Record<string, string> = {
  Equal: 'Equal',
  Greater: 'Greater',
  GreaterEqual: 'GreaterOrEqual',
  Less: 'Less',
  LessEqual: 'LessOrEqual',
  LogicalAnd: 'And',
  LogicalOr: 'Or',
};
for (const [kernel, op] of Object.entries(comparison))
  recordKernel(kernel, ({ recorder, inputs: { a, b } }: Call) =>
    recorder.binary(op, a!, b!, broadcast(a!, b!), 'bool'),
  );
recordKernel('NotEqual', ({ recorder, inputs: { a, b } }: Call) => {
  const shape = broadcast(a!, b!);
  return recorder.node('Not', [recorder.binary('Equal', a!, b!, shape, 'bool')], { shape, dtype: 'bool' });
});
recordKernel('Select', ({ recorder, inputs: { condition, t, e } }: Call) =>
  recorder.node('Where', [condition!, t!, e!], { shape: t!.shape, dtype: t!.dtype }),
);

function add(recorder: Call['recorder'], a: Value, b: Value): Value {
  const shape = broadcast(a, b);
  if (b.uniform === 0 && sameShape(a.shape, shape)) return a;
  if (a.uniform === 0 && sameShape(b.shape, shape)) return b;
  return recorder.binary('Add', a, b, shape, a.dtype);
}

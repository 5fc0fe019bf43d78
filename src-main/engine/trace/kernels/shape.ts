import { backend_util, slice_util, util, type DataType, type Tensor } from '@tensorflow/tfjs-core';
import { recordKernel, type KernelCall } from '../backend.ts';
import { isSymbolic, sameShape, TraceError, type Recorder, type Value } from '../recorder.ts';

type Call<Attributes = object> = KernelCall<Attributes>;

/** Ends past any dimension: a slice to the end of a symbolic axis. */
const TO_THE_END = 2 ** 31 - 1;

recordKernel('Identity', ({ inputs: { x } }: Call) => x!);
recordKernel('StopGradient', ({ inputs: { x } }: Call) => x!);
recordKernel('Reshape', ({ recorder, inputs: { x }, attributes: { shape } }: Call<{ shape: number[] }>) => {
  const size = util.sizeFromShape([...x!.shape]);
  return recorder.reshape(x!, util.inferFromImplicitShape(shape, size));
});
recordKernel('ExpandDims', ({ recorder, inputs: { input }, attributes: { dim } }: Call<{ dim: number }>) => {
  const shape = [...input!.shape];
  shape.splice(dim < 0 ? shape.length + 1 + dim : dim, 0, 1);
  return recorder.reshape(input!, shape);
});
recordKernel('Transpose', ({ recorder, inputs: { x }, attributes: { perm } }: Call<{ perm: number[] }>) => {
  const shape = perm.map((axis) => x!.shape[axis]!);
  if (x!.uniform !== undefined) return { ...x!, shape };
  if (perm.every((axis, position) => axis === position)) return x!;
  return recorder.node('Transpose', [x!], { shape, dtype: x!.dtype }, { perm });
});
recordKernel('BroadcastTo', ({ recorder, inputs: { x }, attributes: { shape } }: Call<{ shape: number[] }>) =>
  recorder.expand(x!, shape),
);
recordKernel('Tile', ({ recorder, inputs: { x }, attributes: { reps } }: Call<{ reps: number[] }>) => {
  const shape = x!.shape.map((size, axis) => size * reps[axis]!);
  if (x!.uniform !== undefined || reps.every((count) => count === 1)) return { ...x!, shape };
  return recorder.node('Tile', [x!, recorder.integers(reps)], { shape, dtype: x!.dtype });
});
recordKernel('Concat', ({ recorder, list, attributes: { axis } }: Call<{ axis: number }>) =>
  concat(recorder, list, axis),
);
recordKernel('Pack', ({ recorder, list, attributes: { axis } }: Call<{ axis: number }>) => {
  const position = axis < 0 ? list[0]!.shape.length + 1 + axis : axis;
  const slices = list.map((value) => recorder.reshape(value, value.shape.toSpliced(position, 0, 1)));
  return concat(recorder, slices, position);
});
recordKernel('Unpack', ({ recorder, inputs: { value }, attributes: { axis } }: Call<{ axis: number }>) => {
  const position = util.parseAxisParam(axis, [...value!.shape])[0]!;
  const count = value!.shape[position]!;
  const slice = value!.shape.with(position, 1);
  const parts = split(recorder, value!, new Array<number>(count).fill(1), position, slice);
  return parts.map((part) => recorder.reshape(part, value!.shape.toSpliced(position, 1)));
});
recordKernel(
  'SplitV',
  ({ recorder, inputs: { x }, attributes }: Call<{ numOrSizeSplits: number | number[]; axis: number }>) => {
    const axis = util.parseAxisParam(attributes.axis, [...x!.shape])[0]!;
    const sizes = backend_util.prepareSplitSize(shaped(x!), attributes.numOrSizeSplits, axis);
    return split(recorder, x!, sizes, axis);
  },
);
recordKernel('Slice', ({ recorder, inputs: { x }, attributes }: Call<{ begin: number[]; size: number[] }>) => {
  const [begin, size] = slice_util.parseSliceParams(shaped(x!), attributes.begin, attributes.size) as [
    number[],
    number[],
  ];
  if (sameShape(size, x!.shape)) return x!;
  if (x!.uniform !== undefined) return { ...x!, shape: size };
  const axes = size.flatMap((count, axis) => (count === x!.shape[axis] ? [] : [axis]));
  const starts = axes.map((axis) => begin[axis]!);
  const ends = axes.map((axis) => (isSymbolic(size[axis]!) ? TO_THE_END : begin[axis]! + size[axis]!));
  return recorder.node('Slice', [x!, recorder.integers(starts), recorder.integers(ends), recorder.integers(axes)], {
    shape: size,
    dtype: x!.dtype,
  });
});
recordKernel('StridedSlice', ({ recorder, inputs: { x }, attributes }: Call<StridedSlice>) => {
  const { begin, end, strides } = attributes;
  const info = slice_util.sliceInfo(
    [...x!.shape],
    begin,
    end,
    strides,
    attributes.beginMask,
    attributes.endMask,
    attributes.ellipsisMask,
    attributes.newAxisMask,
    attributes.shrinkAxisMask,
  );
  // An end before the first element is "to the start, inclusive" for a negative stride.
  const ends = info.end.map((stop, axis) => (info.strides[axis]! < 0 && stop < 0 ? -TO_THE_END : stop));
  const axes = info.begin.map((_, axis) => axis);
  const sliced = recorder.node(
    'Slice',
    [
      x!,
      recorder.integers(info.begin),
      recorder.integers(ends),
      recorder.integers(axes),
      recorder.integers(info.strides),
    ],
    { shape: info.finalShapeSparse, dtype: x!.dtype },
  );
  return recorder.reshape(sliced, info.finalShape);
});
recordKernel(
  'PadV2',
  ({
    recorder,
    inputs: { x },
    attributes: { paddings, constantValue },
  }: Call<{ paddings: [number, number][]; constantValue: number }>) => {
    const shape = x!.shape.map((size, axis) => size + paddings[axis]![0] + paddings[axis]![1]);
    if (sameShape(shape, x!.shape)) return x!;
    const pads = [...paddings.map(([before]) => before), ...paddings.map(([, after]) => after)];
    return recorder.node(
      'Pad',
      [x!, recorder.integers(pads), recorder.uniform(constantValue, [], x!.dtype)],
      { shape, dtype: x!.dtype },
      { mode: 'constant' },
    );
  },
);
recordKernel('Reverse', ({ recorder, inputs: { x }, attributes: { dims } }: Call<{ dims: number | number[] }>) => {
  const axes = util.parseAxisParam(dims, [...x!.shape]);
  const at = (value: number) => recorder.integers(axes.map(() => value));
  return recorder.node('Slice', [x!, at(-1), at(-TO_THE_END), recorder.integers(axes), at(-1)], {
    shape: x!.shape,
    dtype: x!.dtype,
  });
});
recordKernel(
  'GatherV2',
  ({ recorder, inputs, attributes: { axis, batchDims } }: Call<{ axis: number; batchDims: number }>) => {
    const { x, indices } = inputs as { x: Value; indices: Value };
    if (batchDims) throw new TraceError("TensorFlow.js op 'GatherV2' cannot be recorded with batchDims.");
    const position = util.parseAxisParam(axis, [...x.shape])[0]!;
    const shape = [...x.shape.slice(0, position), ...indices.shape, ...x.shape.slice(position + 1)];
    return recorder.node('Gather', [x, recorder.cast(indices, 'int32')], { shape, dtype: x.dtype }, { axis: position });
  },
);
recordKernel(
  'OneHot',
  ({
    recorder,
    inputs: { indices },
    attributes,
  }: Call<{ depth: number; onValue: number; offValue: number; dtype?: DataType }>) => {
    const { depth, onValue, offValue, dtype = 'int32' } = attributes;
    const shape = [...indices!.shape, depth];
    const classes = recorder.constant(
      Array.from({ length: depth }, (_, index) => index),
      [depth],
      'int32',
    );
    // Not ONNX's OneHot: onnxruntime implements it for few pairs of types.
    const equal = recorder.node('Equal', [recorder.reshape(indices!, [...indices!.shape, 1]), classes], {
      shape,
      dtype: 'bool',
    });
    return recorder.node(
      'Where',
      [equal, recorder.uniform(onValue, [], dtype), recorder.uniform(offValue, [], dtype)],
      { shape, dtype },
    );
  },
);
recordKernel(
  'Fill',
  ({ recorder, attributes: { shape, value, dtype } }: Call<{ shape: number[]; value: number; dtype?: DataType }>) =>
    recorder.uniform(value, shape, dtype ?? 'float32'),
);
recordKernel('ZerosLike', ({ recorder, inputs: { x } }: Call) => recorder.uniform(0, x!.shape, x!.dtype));
recordKernel('OnesLike', ({ recorder, inputs: { x } }: Call) => recorder.uniform(1, x!.shape, x!.dtype));
recordKernel(
  'Range',
  ({
    recorder,
    attributes: { start, stop, step, dtype },
  }: Call<{ start: number; stop: number; step: number; dtype?: DataType }>) => {
    const values = Array.from({ length: Math.max(0, Math.ceil((stop - start) / step)) }, (_, i) => start + i * step);
    return recorder.constant(values, [values.length], dtype ?? 'float32');
  },
);

interface StridedSlice {
  begin: number[];
  end: number[];
  strides: number[];
  beginMask: number;
  endMask: number;
  ellipsisMask: number;
  newAxisMask: number;
  shrinkAxisMask: number;
}

/** TF.js's argument checks ask for a tensor and read its shape. */
function shaped(x: Value): Tensor {
  return { shape: [...x.shape] } as Tensor;
}

function concat(recorder: Recorder, list: readonly Value[], axis: number): Value {
  const parts = list.filter((value) => util.sizeFromShape([...value.shape]) > 0);
  const first = parts[0] ?? list[0]!;
  if (parts.length <= 1) return first;
  const position = axis < 0 ? first.shape.length + axis : axis;
  const total = parts.reduce((sum, value) => sum + value.shape[position]!, 0);
  return recorder.node(
    'Concat',
    parts,
    { shape: first.shape.with(position, total), dtype: first.dtype },
    { axis: position },
  );
}

function split(
  recorder: Recorder,
  x: Value,
  sizes: readonly number[],
  axis: number,
  shape?: readonly number[],
): Value[] {
  if (sizes.length === 1) return [x];
  const results = sizes.map((size) => ({ shape: shape ?? x.shape.with(axis, size), dtype: x.dtype }));
  return recorder.several('Split', [x, recorder.integers(sizes)], results, { axis });
}

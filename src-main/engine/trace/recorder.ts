import type { DataType as TensorType } from '@tensorflow/tfjs-core';
import type { NodeProto, TensorProto } from '../onnx/onnx_pb.ts';
import { DataType, int64Tensor, node, OPSET, tensor, type Attribute } from '../onnx/model.ts';
import { sizeOf } from '../program.ts';

/** A tensor of the traced program. `uniform` marks a constant whose elements are all equal; it has no node until one needs it. */
export interface Value {
  readonly name: string;
  readonly shape: readonly number[];
  readonly dtype: TensorType;
  readonly uniform?: number;
}

/** A value to be: what a node says of its output. */
export interface Result {
  shape: readonly number[];
  dtype?: TensorType;
}

/** What a program would need that a graph cannot hold: an op without a recorder, a value read while tracing, and the like. */
export class TraceError extends Error {
  override readonly name = 'TraceError';
}

/** Constants up to this many elements are written out; larger uniform ones become `Expand` of a scalar. */
const DENSE_LIMIT = 16;

/**
 * A batch size that stands for "any": kernels compute nothing while tracing, so a prime that no real dimension
 * is a multiple of can run through the shapes, and is written as the symbolic dimension.
 */
export const SYMBOLIC_BATCH = 1_000_003;

export function isSymbolic(dimension: number): boolean {
  return dimension >= SYMBOLIC_BATCH && dimension % SYMBOLIC_BATCH === 0;
}

/**
 * Records ONNX nodes as a traced program asks for them. Equal nodes are recorded once, and arithmetic that changes
 * nothing (times one, plus zero, a reshape to the same shape) not at all: automatic differentiation writes plenty of both.
 */
export class Recorder {
  readonly nodes: NodeProto[] = [];
  readonly initializers = new Map<string, TensorProto>();
  private readonly known = new Map<string, Value[]>();
  private count = 0;

  constructor(
    readonly opset = OPSET,
    private readonly prefix = '',
  ) {}

  private name(of: string): string {
    return `${this.prefix}${of}_${this.count++}`;
  }

  /** Records a node and returns its outputs; a result without a dtype is float32. */
  several(
    op: string,
    inputs: readonly Value[],
    results: readonly Result[],
    attributes: Record<string, Attribute> = {},
  ): Value[] {
    const names = inputs.map((input) => this.materialize(input).name);
    const key = `${op}|${names.join(',')}|${JSON.stringify(attributes)}|${results.length}`;
    const seen = this.known.get(key);
    if (seen) return seen;
    const outputs = results.map(({ shape, dtype }) => ({ name: this.name(op), shape, dtype: dtype ?? 'float32' }));
    this.nodes.push(
      node(
        op,
        names,
        outputs.map((output) => output.name),
        attributes,
      ),
    );
    this.known.set(key, outputs);
    return outputs;
  }

  node(op: string, inputs: readonly Value[], result: Result, attributes: Record<string, Attribute> = {}): Value {
    return this.several(op, inputs, [result], attributes)[0]!;
  }

  uniform(value: number, shape: readonly number[], dtype: TensorType = 'float32'): Value {
    return { name: '', shape, dtype, uniform: value };
  }

  /** A constant of the program. One whose elements are all equal stays a scalar. */
  constant(values: ArrayLike<number | boolean>, shape: readonly number[], dtype: TensorType): Value {
    const first = Number(values[0]);
    let equal = values.length > 0;
    for (let i = 1; equal && i < values.length; i++) equal = Object.is(Number(values[i]), first);
    if (equal) return this.uniform(first, shape, dtype);
    return { name: this.dense(values, shape, dtype), shape, dtype };
  }

  /** An int64 initializer: shapes, axes, starts and the like. Symbolic dimensions are the caller's to replace. */
  integers(values: readonly number[]): Value {
    const name = `${this.prefix}int64_${values.join('_').replaceAll('-', 'm')}_${values.length}`;
    if (!this.initializers.has(name)) this.initializers.set(name, int64Tensor(name, values));
    return { name, shape: [values.length], dtype: 'int32' };
  }

  reshape(x: Value, shape: readonly number[]): Value {
    if (sameShape(x.shape, shape)) return x;
    if (x.uniform !== undefined) return { ...x, shape };
    const symbolic = shape.filter(isSymbolic).length;
    if (symbolic > 1) throw new TraceError(`A reshape to [${shape.join(', ')}] has two symbolic dimensions.`);
    return this.node('Reshape', [x, this.integers(shape.map((size) => (isSymbolic(size) ? -1 : size)))], {
      shape,
      dtype: x.dtype,
    });
  }

  expand(x: Value, shape: readonly number[]): Value {
    if (sameShape(x.shape, shape)) return x;
    if (x.uniform !== undefined) return { ...x, shape };
    return this.node('Expand', [x, this.integers(this.fixed(shape))], { shape, dtype: x.dtype });
  }

  cast(x: Value, dtype: TensorType): Value {
    if (x.dtype === dtype) return x;
    if (x.uniform !== undefined) {
      const value = dtype === 'bool' ? Number(x.uniform !== 0) : dtype === 'int32' ? Math.trunc(x.uniform) : x.uniform;
      return { ...x, uniform: value, dtype };
    }
    return this.node('Cast', [x], { shape: x.shape, dtype }, { to: onnxType(dtype) });
  }

  /** Element-wise op of two operands with broadcasting; `shape` is the broadcast shape. */
  binary(op: string, a: Value, b: Value, shape: readonly number[], dtype: TensorType): Value {
    const operand = (x: Value, other: Value): Value =>
      x.uniform !== undefined && sameShape(other.shape, shape) ? { ...x, shape: [] } : x;
    return this.node(op, [operand(a, b), operand(b, a)], { shape, dtype });
  }

  /** Reduction over `axes`; the axes moved from an attribute to an input at opset 18, for ReduceSum at 13. */
  reduce(op: string, x: Value, axes: readonly number[], keepDims: boolean): Value {
    const reduced = new Set(axes);
    const shape = keepDims
      ? x.shape.map((size, axis) => (reduced.has(axis) ? 1 : size))
      : x.shape.filter((_, axis) => !reduced.has(axis));
    if (axes.length === 0) return x;
    const keepdims = keepDims ? 1 : 0;
    const result = { shape, dtype: x.dtype };
    if (op === 'ReduceSum' || this.opset >= 18) return this.node(op, [x, this.integers(axes)], result, { keepdims });
    return this.node(op, [x], result, { axes, keepdims });
  }

  /** The value as something that a node can read. */
  materialize(value: Value): Value {
    if (value.uniform === undefined) return value;
    const { uniform, shape, dtype } = value;
    const size = sizeOf(shape);
    if (size <= DENSE_LIMIT)
      return { name: this.dense(new Array<number>(size).fill(uniform), shape, dtype), shape, dtype };
    const scalar = { name: this.dense([uniform], [], dtype), shape: [], dtype };
    return this.node('Expand', [scalar, this.integers(this.fixed(shape))], { shape, dtype });
  }

  private fixed(shape: readonly number[]): readonly number[] {
    if (shape.some(isSymbolic))
      throw new TraceError(
        'The program fills a tensor whose size depends on the batch, which a graph with a symbolic batch cannot hold.',
      );
    return shape;
  }

  private dense(values: ArrayLike<number | boolean>, shape: readonly number[], dtype: TensorType): string {
    const data =
      dtype === 'float32'
        ? Float32Array.from(values, Number)
        : dtype === 'int32'
          ? Int32Array.from(values, Number)
          : Uint8Array.from(values, Number);
    const small = values.length <= DENSE_LIMIT;
    const key = `${this.prefix}${dtype}_${shape.join('x')}_${small ? Array.from(data).join('_').replaceAll('-', 'm') : this.count++}`;
    if (!this.initializers.has(key)) this.initializers.set(key, tensor(key, shape, data, onnxType(dtype)));
    return key;
  }
}

export function sameShape(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((size, axis) => size === b[axis]);
}

export function onnxType(dtype: TensorType): DataType {
  switch (dtype) {
    case 'float32':
      return DataType.FLOAT;
    case 'int32':
      return DataType.INT32;
    case 'bool':
      return DataType.BOOL;
    default:
      throw new TraceError(`Tensors of type ${dtype} cannot be recorded.`);
  }
}

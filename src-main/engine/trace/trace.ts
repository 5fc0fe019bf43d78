import { setBackend, getBackend, engine, type Tensor } from '@tensorflow/tfjs-core';
import type { ModelProto, NodeProto } from '../onnx/onnx_pb.ts';
import { DataType, model, node, OPSET, valueInfo, type Dimension } from '../onnx/model.ts';
import type { Program, Storage, TensorSpec, Tensors } from '../program.ts';
import { withTfjs } from '../tfjs-turn.ts';
import { registerTraceBackend, TRACE_BACKEND, traceBackend } from './backend.ts';
import '../gradients.ts';
import './kernels/elementwise.ts';
import './kernels/linear-algebra.ts';
import './kernels/shape.ts';
import '../normalize-kernel.ts';
import { isSymbolic, onnxType, Recorder, SYMBOLIC_BATCH, TraceError, type Value } from './recorder.ts';

registerTraceBackend();

export { SYMBOLIC_BATCH, TraceError };

export interface TraceOptions {
  name?: string;
  /** Opset of the graph; a graph that is to be joined to another takes that one's. */
  opset?: number;
  /** Put before every name that the trace makes up. */
  prefix?: string;
  metadata?: Readonly<Record<string, string>>;
}

export interface TracedProgram {
  model: ModelProto;
  outputs: Record<string, TensorSpec>;
}

const STORAGE: Record<Storage, DataType> = {
  float32: DataType.FLOAT,
  float16: DataType.FLOAT16,
  int32: DataType.INT32,
};

/**
 * Turns a program into one ONNX model by running it once on a backend that records instead of computing;
 * what `tf.grads` and friends do inside the program is recorded with it.
 *
 * Input dimensions equal to `SYMBOLIC_BATCH` are written as the symbolic dimension `batch`.
 * @throws TraceError that names the op or the value that a graph cannot hold.
 */
export async function trace(program: Program, options: TraceOptions = {}): Promise<TracedProgram> {
  return withTfjs(async () => {
    const before = getBackend();
    await setBackend(TRACE_BACKEND);
    try {
      const recorder = new Recorder(options.opset ?? OPSET, options.prefix ?? '');
      return traceBackend.record(recorder, () => scoped(() => record(program, recorder, options)));
    } finally {
      if (before) await setBackend(before);
    }
  });
}

/** Like `tidy`, for a body that gives plain data. */
function scoped<T>(body: () => T): T {
  engine().startScope();
  try {
    return body();
  } finally {
    engine().endScope();
  }
}

function record(program: Program, recorder: Recorder, options: TraceOptions): TracedProgram {
  const inputs: Tensors = {};
  for (const [name, spec] of Object.entries(program.inputs)) inputs[name] = inputTensor(recorder, name, spec);
  const outputs: Record<string, TensorSpec> = {};
  const named: Record<string, Value> = {};
  for (const [name, tensor] of Object.entries(program.run(inputs))) {
    const value = recorder.materialize(traceBackend.resolve(tensor));
    named[name] = value;
    if (value.dtype !== 'float32' && value.dtype !== 'int32')
      throw new TraceError(`Output '${name}' is ${value.dtype}; cast it to float32 or int32.`);
    outputs[name] = { shape: value.shape, storage: value.dtype };
  }
  const nodes = needed(recorder.nodes, Object.values(named));
  for (const [name, value] of Object.entries(named)) nodes.push(node('Identity', [value.name], [name]));
  const read = new Set(nodes.flatMap((each) => each.input));
  const built = model({
    name: options.name ?? 'program',
    nodes,
    inputs: Object.entries(program.inputs).map(([name, spec]) =>
      valueInfo(name, STORAGE[spec.storage], dimensions(spec.shape)),
    ),
    outputs: Object.entries(named).map(([name, value]) =>
      valueInfo(name, onnxType(value.dtype), dimensions(value.shape)),
    ),
    initializers: [...recorder.initializers.values()].filter((initializer) => read.has(initializer.name)),
    metadata: options.metadata,
  });
  built.opsetImport[0]!.version = BigInt(recorder.opset);
  return { model: built, outputs };
}

/** A program input as a tensor; float16 is cast once, right where the graph first needs it. */
function inputTensor(recorder: Recorder, name: string, { shape, storage }: TensorSpec): Tensor {
  let value: Value = { name, shape, dtype: storage === 'int32' ? 'int32' : 'float32' };
  if (storage === 'float16') value = recorder.node('Cast', [value], { shape }, { to: DataType.FLOAT });
  return engine().makeTensorFromTensorInfo(traceBackend.infoOf(value));
}

function dimensions(shape: readonly number[]): Dimension[] {
  return shape.map((size) => {
    if (!isSymbolic(size)) return size;
    const factor = size / SYMBOLIC_BATCH;
    return factor === 1 ? 'batch' : `${factor}*batch`;
  });
}

/** Nodes that the outputs depend on, in the order recorded. */
function needed(nodes: readonly NodeProto[], outputs: readonly Value[]): NodeProto[] {
  const wanted = new Set(outputs.map((value) => value.name));
  const kept: NodeProto[] = [];
  for (const each of nodes.toReversed()) {
    if (!each.output.some((name) => wanted.has(name))) continue;
    kept.push(each);
    for (const name of each.input) wanted.add(name);
  }
  return kept.reverse();
}

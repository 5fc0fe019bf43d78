/** Recognising LayerNorm, as one node or taken apart by an exporter. */
import type { NodeProto } from '../engine/onnx/onnx_pb.ts';
import { foldScalar } from './fold.ts';
import { attributeOf, intAttribute, intsAttribute } from './graph.ts';
import type { Graph } from './graph.ts';
import { dimsOf, tensorValues } from './tensors.ts';

/** LayerNorm over the last axis: output = (input - mean) / sqrt(variance + epsilon) * scale + bias. */
export interface LayerNorm {
  input: string;
  output: string;
  scale: Float32Array;
  bias: Float32Array;
  epsilon: number;
  /** TensorProto.DataType of the scale: tells a half-precision model. */
  dataType: number;
}

/** The LayerNorm whose result is `value`; undefined when `value` is not made by one. */
export function matchLayerNorm(graph: Graph, value: string): LayerNorm | undefined {
  const maker = graph.producer(value);
  if (maker?.opType === 'LayerNormalization') return matchFused(graph, maker, value);
  if (maker?.opType === 'Add') return matchDecomposed(graph, maker, value);
  return undefined;
}

function matchFused(graph: Graph, node: NodeProto, output: string): LayerNorm | undefined {
  const [input, scaleName, biasName] = node.input;
  if (!input || !scaleName || node.output[0] !== output) return undefined;
  const scale = vectorOf(graph, scaleName);
  if (!scale) return undefined;
  const bias = biasName ? vectorOf(graph, biasName)?.values : new Float32Array(scale.values.length);
  if (!bias) return undefined;
  return {
    input,
    output,
    scale: scale.values,
    bias,
    epsilon: attributeOf(node, 'epsilon')?.f ?? 1e-5,
    dataType: scale.dataType,
  };
}

/** Add(Mul(Div(x - mean, Sqrt(mean of squares + epsilon)), scale), bias), operands in either order. */
function matchDecomposed(graph: Graph, add: NodeProto, output: string): LayerNorm | undefined {
  const shifted = splitConstant(graph, add);
  const mul = shifted && makerOf(graph, shifted.rest, 'Mul');
  const scaled = mul && splitConstant(graph, mul);
  const div = scaled && makerOf(graph, scaled.rest, 'Div');
  const [centredName, deviationName] = div?.input ?? [];
  if (!shifted || !scaled || !centredName || !deviationName) return undefined;
  const input = matchCentred(graph, centredName);
  const epsilon = matchDeviation(graph, deviationName, input);
  if (input === undefined || epsilon === undefined) return undefined;
  const { values: scale, dataType } = scaled.vector;
  return { input, output, scale, bias: shifted.vector.values, epsilon, dataType };
}

/** x of x - ReduceMean(x). */
function matchCentred(graph: Graph, value: string): string | undefined {
  const sub = makerOf(graph, value, 'Sub');
  const [input, meanName] = sub?.input ?? [];
  if (!input || !meanName) return undefined;
  const mean = makerOf(graph, meanName, 'ReduceMean');
  return mean?.input[0] === input && overLastAxis(graph, mean) ? input : undefined;
}

/** epsilon of Sqrt(ReduceMean(centred ^ 2) + epsilon), where `centred` belongs to the same input. */
function matchDeviation(graph: Graph, value: string, input: string | undefined): number | undefined {
  const sqrt = makerOf(graph, value, 'Sqrt');
  const add = sqrt?.input[0] ? makerOf(graph, sqrt.input[0], 'Add') : undefined;
  if (!add || input === undefined) return undefined;
  for (const [index, name] of add.input.entries()) {
    const mean = makerOf(graph, name, 'ReduceMean');
    const epsilonName = add.input[1 - index];
    if (!mean?.input[0] || !epsilonName || !overLastAxis(graph, mean)) continue;
    const square = graph.producer(mean.input[0]);
    const isSquare =
      (square?.opType === 'Pow' && foldScalar(graph, square.input[1] ?? '') === 2) ||
      (square?.opType === 'Mul' && square.input[0] === square.input[1]);
    if (isSquare && square.input[0] && matchCentred(graph, square.input[0]) === input) {
      return foldScalar(graph, epsilonName);
    }
  }
  return undefined;
}

function makerOf(graph: Graph, value: string, opType: string): NodeProto | undefined {
  const maker = graph.producer(value);
  return maker?.opType === opType ? maker : undefined;
}

/** Axes are an attribute up to opset 17 and an input from 18 on; a mean over all axes is none of ours. */
function overLastAxis(graph: Graph, mean: NodeProto): boolean {
  const axes = intsAttribute(mean, 'axes') ?? [foldScalar(graph, mean.input[1] ?? '') ?? NaN];
  // Position 2 is the last axis of [batch, tokens, width].
  return axes.length === 1 && (axes[0] === -1 || axes[0] === 2) && intAttribute(mean, 'keepdims', 1) === 1;
}

interface ConstantVector {
  values: Float32Array;
  dataType: number;
}

function vectorOf(graph: Graph, value: string): ConstantVector | undefined {
  const tensor = graph.tensor(value);
  if (!tensor) return undefined;
  const dims = dimsOf(tensor);
  // [width], or [1, 1, width] as some optimisers leave it.
  if (dims.length === 0 || dims.slice(0, -1).some((dim) => dim !== 1)) return undefined;
  const values = tensorValues(tensor);
  return values && { values: Float32Array.from(values), dataType: tensor.dataType };
}

function splitConstant(graph: Graph, node: NodeProto): { vector: ConstantVector; rest: string } | undefined {
  const [left, right] = node.input;
  if (!left || !right) return undefined;
  const rightVector = vectorOf(graph, right);
  if (rightVector) return { vector: rightVector, rest: left };
  const leftVector = vectorOf(graph, left);
  return leftVector && { vector: leftVector, rest: right };
}

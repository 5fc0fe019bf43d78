/** Partial evaluation of the small tensors that exporters compute in the graph: shapes, counts, epsilons. */
import type { NodeProto } from '../engine/onnx/onnx_pb.ts';
import { attributeOf, intAttribute } from './graph.ts';
import type { Graph } from './graph.ts';
import { dimsOf, elementCount, tensorValues } from './tensors.ts';

/** Larger constants are weights: read them with `Graph.tensor`. */
const LARGEST_FOLDED = 64;

/** A small tensor (a scalar or a vector) of which some elements may be unknown before the model is run. */
export interface Folded {
  rank: 0 | 1;
  values: (number | null)[];
}

const ARITHMETIC: Readonly<Record<string, (a: number, b: number) => number>> = {
  Add: (a, b) => a + b,
  Sub: (a, b) => a - b,
  Mul: (a, b) => a * b,
  Div: (a, b) => a / b,
  Pow: (a, b) => a ** b,
};

/** What is known of a small value; undefined when nothing is, not even how many elements it has. */
export function fold(graph: Graph, value: string, depth = 32): Folded | undefined {
  if (depth === 0) return undefined;
  const tensor = graph.tensor(value);
  if (tensor) {
    const dims = dimsOf(tensor);
    if (dims.length > 1 || elementCount(dims) > LARGEST_FOLDED) return undefined;
    const values = tensorValues(tensor);
    return values && { rank: dims.length === 0 ? 0 : 1, values: Array.from(values) };
  }
  const maker = graph.producer(value);
  return maker && foldNode(graph, maker, depth - 1);
}

/** The value of a constant scalar, or of a vector of one; undefined when it is neither or not known. */
export function foldScalar(graph: Graph, value: string): number | undefined {
  const folded = fold(graph, value);
  return folded?.values.length === 1 ? (folded.values[0] ?? undefined) : undefined;
}

function foldNode(graph: Graph, node: NodeProto, depth: number): Folded | undefined {
  const operand = (index: number): Folded | undefined => {
    const name = node.input[index];
    return name ? fold(graph, name, depth) : undefined;
  };
  switch (node.opType) {
    case 'Constant':
      return foldConstant(node);
    case 'Identity':
      return operand(0);
    case 'Cast': {
      const INT32 = 6;
      const INT64 = 7;
      const to = intAttribute(node, 'to', 1);
      const from = operand(0);
      if (to !== INT32 && to !== INT64) return from;
      return from && { ...from, values: from.values.map((element) => element && Math.trunc(element)) };
    }
    case 'Sqrt': {
      const from = operand(0);
      return from && { ...from, values: from.values.map((element) => element && Math.sqrt(element)) };
    }
    case 'Reshape':
    case 'Unsqueeze':
    case 'Squeeze':
      return foldReshaped(operand(0), node.opType === 'Squeeze');
    case 'Gather':
      return foldGather(operand(0), operand(1)) ?? unknownScalar(operand(1));
    case 'Concat':
      return foldConcat(node.input.map((_, index) => operand(index)));
    default: {
      const arithmetic = ARITHMETIC[node.opType];
      return arithmetic && foldPair(operand(0), operand(1), arithmetic);
    }
  }
}

function foldConstant(node: NodeProto): Folded | undefined {
  const scalar = attributeOf(node, 'value_int') ?? attributeOf(node, 'value_float');
  if (scalar) return { rank: 0, values: [scalar.name === 'value_int' ? Number(scalar.i) : scalar.f] };
  const vector = attributeOf(node, 'value_ints') ?? attributeOf(node, 'value_floats');
  return vector && { rank: 1, values: vector.name === 'value_ints' ? vector.ints.map(Number) : [...vector.floats] };
}

function foldReshaped(from: Folded | undefined, toScalar: boolean): Folded | undefined {
  // Of shape arithmetic only: a scalar becomes a vector of one, and back.
  if (!from || (from.rank === 1 && from.values.length !== 1)) return from;
  return { rank: toScalar ? 0 : 1, values: from.values };
}

function foldGather(from: Folded | undefined, index: Folded | undefined): Folded | undefined {
  if (!from || !index) return undefined;
  const pick = (at: number | null): number | null => (at === null ? null : (from.values.at(at) ?? null));
  return { rank: index.rank, values: index.values.map(pick) };
}

/** One element taken out of a shape that is unknown: unknown, but one element. */
function unknownScalar(index: Folded | undefined): Folded | undefined {
  return index && { rank: index.rank, values: index.values.map(() => null) };
}

function foldConcat(parts: readonly (Folded | undefined)[]): Folded | undefined {
  const values: (number | null)[] = [];
  for (const part of parts) {
    if (!part) return undefined;
    values.push(...part.values);
  }
  return { rank: 1, values };
}

function foldPair(
  left: Folded | undefined,
  right: Folded | undefined,
  combine: (a: number, b: number) => number,
): Folded | undefined {
  if (!left || !right) return undefined;
  const length = Math.max(left.values.length, right.values.length);
  const at = (side: Folded, index: number): number | null => side.values[side.values.length === 1 ? 0 : index] ?? null;
  const values = Array.from({ length }, (_, index) => {
    const a = at(left, index);
    const b = at(right, index);
    return a === null || b === null ? null : combine(a, b);
  });
  return { rank: left.rank || right.rank ? 1 : 0, values };
}

/** The spine of a pre-LN transformer: the chain of residual Adds under its final LayerNorm. */
import type { NodeProto } from '../engine/onnx/onnx_pb.ts';
import type { Graph } from './graph.ts';

/** One residual connection: sum = skip + branch(LayerNorm(skip)). */
export interface Residual {
  sum: string;
  skip: string;
  branch: string;
}

export interface ResidualChain {
  /** From the embedding upwards. */
  residuals: Residual[];
  /** The state before the first residual: z_0. */
  start: string;
  /** The state after the last: z_L. */
  end: string;
}

/** Nodes that hand a state on unchanged (in inference). */
const PASSING: ReadonlySet<string> = new Set(['Identity', 'Dropout', 'Cast']);

/** Nodes that take rows of the state, or their mean, before the final LayerNorm. */
const POOLING: ReadonlySet<string> = new Set(['Gather', 'Slice', 'Squeeze', 'ReduceMean', 'Reshape', 'Flatten']);

/** Softmax, and what onnxruntime and ONNX fuse it into. */
const ATTENTION: ReadonlySet<string> = new Set([
  'Softmax',
  'Attention',
  'MultiHeadAttention',
  'PackedAttention',
  'PackedMultiHeadAttention',
  'GroupQueryAttention',
  'QAttention',
]);

/** Walks back from the final LayerNorm's input along the Adds of which one input is an ancestor of the other. */
export function walkResiduals(graph: Graph, normInput: string): ResidualChain {
  const end = skipBack(graph, normInput, [PASSING, POOLING]);
  const residuals: Residual[] = [];
  let state = end;
  for (let found = residualAt(graph, state); found; found = residualAt(graph, state)) {
    residuals.push(found);
    state = skipBack(graph, found.skip, [PASSING]);
  }
  return { residuals: residuals.reverse(), start: state, end };
}

function skipBack(graph: Graph, value: string, kinds: readonly ReadonlySet<string>[]): string {
  let state = value;
  for (let maker = graph.producer(state); maker; maker = graph.producer(state)) {
    const { opType, input } = maker;
    if (!input[0] || !kinds.some((kind) => kind.has(opType))) break;
    state = input[0];
  }
  return state;
}

function residualAt(graph: Graph, sum: string): Residual | undefined {
  const add = graph.producer(sum);
  const [left, right] = add?.input ?? [];
  if (add?.opType !== 'Add' || !left || !right) return undefined;
  // Half-precision models convert a state once for each of its readers: seen through, so that all read the same one.
  for (const [skip, branch] of [
    [skipBack(graph, left, [PASSING]), right],
    [skipBack(graph, right, [PASSING]), left],
  ] as const) {
    if (graph.flowsInto(skip, branch)) return { sum, skip, branch };
  }
  return undefined;
}

/** The nodes between a residual's skip and its branch's result. */
export function branchNodes(graph: Graph, residual: Residual): Set<NodeProto> {
  return graph.nodesBehind(residual.branch, new Set([residual.skip]), graph.position(residual.skip));
}

export const isAttention = ({ opType }: NodeProto): boolean => ATTENTION.has(opType);

export function hasAttention(nodes: Iterable<NodeProto>): boolean {
  for (const node of nodes) if (isAttention(node)) return true;
  return false;
}

/** Whether all that a branch reads of its skip is read by a LayerNorm: what makes a block pre-LN. */
export function readsThroughNorm(graph: Graph, residual: Residual, nodes: ReadonlySet<NodeProto>): boolean {
  const readers = readersOf(graph, residual.skip).filter((reader) => nodes.has(reader));
  const fused = readers.every((reader) => reader.opType === 'LayerNormalization');
  const decomposed = readers.every((reader) => reader.opType === 'ReduceMean' || reader.opType === 'Sub');
  return readers.length > 0 && (fused || decomposed);
}

/** The nodes that compute with a value: its consumers, or theirs where they hand it on unchanged. */
function readersOf(graph: Graph, value: string): NodeProto[] {
  return graph
    .consumers(value)
    .flatMap((node) => (PASSING.has(node.opType) && node.output[0] ? readersOf(graph, node.output[0]) : [node]));
}

/** The reading side of an ONNX graph: who makes a value, who uses it, what is constant, what depends on what. */
import { Failure } from '../base/failure.ts';
import type {
  AttributeProto,
  GraphProto,
  ModelProto,
  NodeProto,
  TensorProto,
  ValueInfoProto,
} from '../engine/onnx/onnx_pb.ts';

/** Nodes whose result carries the shape of a value and none of its numbers. */
const SHAPE_ONLY: ReadonlySet<string> = new Set(['Shape', 'Size', 'ConstantOfShape']);

/** Inputs after the first that steer where numbers go, and are none themselves. */
const STEERED: ReadonlySet<string> = new Set([
  'Reshape',
  'Expand',
  'Slice',
  'Gather',
  'Squeeze',
  'Unsqueeze',
  'Tile',
  'Resize',
  'Split',
  'Dropout',
  'ReduceMean',
  'ReduceSum',
]);

/** An attribute by its name. */
export function attributeOf(node: NodeProto, name: string): AttributeProto | undefined {
  return node.attribute.find((attribute) => attribute.name === name);
}

export const intAttribute = (node: NodeProto, name: string, otherwise: number): number =>
  Number(attributeOf(node, name)?.i ?? otherwise);

export const intsAttribute = (node: NodeProto, name: string): number[] | undefined =>
  attributeOf(node, name)?.ints.map(Number);

/** Every value a node reads, those read inside its subgraphs (If, Loop) included. */
export function valuesReadBy(node: NodeProto): string[] {
  const read = node.input.filter((name) => name !== '');
  for (const attribute of node.attribute) {
    for (const graph of attribute.g ? [attribute.g, ...attribute.graphs] : attribute.graphs) {
      for (const inner of graph.node) read.push(...valuesReadBy(inner));
      read.push(...graph.output.map((output) => output.name));
    }
  }
  return read;
}

/** Dimensions of a graph input or output: numbers where fixed, names (or null) where not; undefined: none declared. */
export function declaredShape(info: ValueInfoProto): (number | string | null)[] | undefined {
  if (info.type?.value.case !== 'tensorType') return undefined;
  return info.type.value.value.shape?.dim.map((dim) => {
    if (dim.value.case === 'dimValue') return Number(dim.value.value);
    return dim.value.case === 'dimParam' ? dim.value.value : null;
  });
}

/** TensorProto.DataType of a graph input or output; 0 when undeclared. */
export function declaredType(info: ValueInfoProto): number {
  return info.type?.value.case === 'tensorType' ? info.type.value.value.elemType : 0;
}

/** An index over one graph; built once, read many times. The graph must be in topological order, as ONNX demands. */
export class Graph {
  readonly proto: GraphProto;
  private readonly producers = new Map<string, NodeProto>();
  private readonly positions = new Map<NodeProto, number>();
  private readonly users = new Map<string, NodeProto[]>();
  private readonly tensors = new Map<string, TensorProto>();

  /** Failure when the model holds no graph. */
  constructor(model: ModelProto) {
    if (!model.graph) throw new Failure('backbone-not-onnx', 'The file holds no ONNX graph.');
    this.proto = model.graph;
    for (const tensor of this.proto.initializer) this.tensors.set(tensor.name, tensor);
    this.proto.node.forEach((node, position) => {
      this.positions.set(node, position);
      for (const output of node.output) if (output !== '') this.producers.set(output, node);
      for (const input of new Set(valuesReadBy(node))) {
        const users = this.users.get(input);
        if (users) users.push(node);
        else this.users.set(input, [node]);
      }
      const value = node.opType === 'Constant' ? attributeOf(node, 'value')?.t : undefined;
      if (value && node.output[0]) this.tensors.set(node.output[0], value);
    });
  }

  /** The node that makes a value; undefined for graph inputs and initializers. */
  producer(value: string): NodeProto | undefined {
    return this.producers.get(value);
  }

  /** The nodes that read a value, in graph order. */
  consumers(value: string): readonly NodeProto[] {
    return this.users.get(value) ?? [];
  }

  /** The tensor behind an initializer or a Constant node, or behind what only copies or converts one. */
  tensor(value: string): TensorProto | undefined {
    const known = this.tensors.get(value);
    if (known) return known;
    const maker = this.producers.get(value);
    return (maker?.opType === 'Identity' || maker?.opType === 'Cast') && maker.input[0]
      ? this.tensor(maker.input[0])
      : undefined;
  }

  /** The nodes that an output of the model depends on, in graph order. */
  liveNodes(): NodeProto[] {
    const live = new Set(this.proto.output.flatMap((output) => [...this.nodesBehind(output.name)]));
    return this.proto.node.filter((node) => live.has(node));
  }

  /** Graph inputs that are fed at run time: those without an initializer of the same name. */
  fedInputs(): ValueInfoProto[] {
    return this.proto.input.filter((input) => !this.tensors.has(input.name));
  }

  /** Place of the value's maker in the graph's order; -1 for graph inputs and initializers. */
  position(value: string): number {
    const maker = this.producers.get(value);
    return maker ? (this.positions.get(maker) ?? -1) : -1;
  }

  /** The inputs of a node whose numbers (not merely their shape) go into its result. */
  dataInputs(node: NodeProto): string[] {
    if (SHAPE_ONLY.has(node.opType)) return [];
    if (STEERED.has(node.opType)) return node.input.slice(0, 1);
    return valuesReadBy(node);
  }

  /**
   * The nodes between `value` and the values where the search stops, found by walking back over data inputs;
   * nodes older than `notBefore` (a graph position) are left out.
   */
  nodesBehind(value: string, stopAt: ReadonlySet<string> = new Set(), notBefore = -1): Set<NodeProto> {
    const found = new Set<NodeProto>();
    const open = [value];
    for (let next = open.pop(); next !== undefined; next = open.pop()) {
      if (stopAt.has(next)) continue;
      const maker = this.producers.get(next);
      if (!maker || found.has(maker) || (this.positions.get(maker) ?? -1) < notBefore) continue;
      found.add(maker);
      open.push(...this.dataInputs(maker));
    }
    return found;
  }

  /** Whether the numbers of `ancestor` go into `value`, by any path. */
  flowsInto(ancestor: string, value: string): boolean {
    if (ancestor === value) return false;
    for (const node of this.nodesBehind(value, new Set([ancestor]), this.position(ancestor))) {
      if (this.dataInputs(node).includes(ancestor)) return true;
    }
    return false;
  }
}

import type { AttributeProto, GraphProto, NodeProto, ValueInfoProto } from '../engine/onnx/onnx_pb.ts';

type Names = ReadonlyMap<string, string>;

/** A graph with values (inputs, initializers, results) under new names, inside If and Loop too. Weights are shared. */
export function renameValues(graph: GraphProto, names: Names): GraphProto {
  const value = <T extends { name: string }>(each: T): T => ({ ...each, name: named(names, each.name) });
  return {
    ...graph,
    node: graph.node.map((each) => renameInNode(each, names)),
    input: graph.input.map(value),
    output: graph.output.map(value),
    valueInfo: graph.valueInfo.map(value),
    initializer: graph.initializer.map(value),
  };
}

/** Value descriptions with one symbolic dimension under another name. */
export function renameDimension(values: readonly ValueInfoProto[], from: string, to: string): ValueInfoProto[] {
  return values.map((each) => {
    const type = each.type?.value;
    if (!each.type || type?.case !== 'tensorType' || !type.value.shape) return each;
    const dim = type.value.shape.dim.map((one) =>
      one.value.case === 'dimParam' && one.value.value === from
        ? { ...one, value: { case: 'dimParam' as const, value: to } }
        : one,
    );
    const tensorType = { ...type.value, shape: { ...type.value.shape, dim } };
    return { ...each, type: { ...each.type, value: { case: 'tensorType' as const, value: tensorType } } };
  });
}

function renameInNode(node: NodeProto, names: Names): NodeProto {
  const rename = (name: string): string => named(names, name);
  const attribute = node.attribute.map((each): AttributeProto => ({
    ...each,
    g: each.g && renameValues(each.g, names),
    graphs: each.graphs.map((graph) => renameValues(graph, names)),
  }));
  return { ...node, input: node.input.map(rename), output: node.output.map(rename), attribute };
}

function named(names: Names, name: string): string {
  return names.get(name) ?? name;
}

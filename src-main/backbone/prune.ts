/** Choosing what an ONNX model puts out. */
import type { GraphProto, ModelProto, NodeProto, ValueInfoProto } from '../engine/onnx/onnx_pb.ts';
import { Failure } from '../base/failure.ts';
import { valuesReadBy } from './graph.ts';

/** A model with another graph; everything that is not replaced is shared with `model`. */
export function withGraph(model: ModelProto, parts: Partial<GraphProto>): ModelProto {
  if (!model.graph) throw new Failure('backbone-not-onnx', 'The file holds no ONNX graph.');
  return { ...model, graph: { ...model.graph, ...parts } };
}

/**
 * The model with the given outputs only, and without the nodes, initializers and value descriptions that none of them
 * needs. Inputs stay, but for those that old exporters list for each weight: onnxruntime folds no constant that a caller
 * may override. Weights are shared, not copied.
 */
export function keepOutputs(model: ModelProto, outputs: readonly ValueInfoProto[]): ModelProto {
  const nodes = model.graph?.node ?? [];
  const needed = new Set(outputs.map((output) => output.name));
  const kept: NodeProto[] = [];
  for (const node of nodes.toReversed()) {
    if (!node.output.some((output) => needed.has(output))) continue;
    kept.push(node);
    for (const value of valuesReadBy(node)) needed.add(value);
  }
  const isNeeded = ({ name }: { name: string }): boolean => needed.has(name);
  const weights = new Set(model.graph?.initializer.map(({ name }) => name));
  return withGraph(model, {
    node: kept.reverse(),
    input: model.graph?.input.filter(({ name }) => !weights.has(name)),
    output: [...outputs],
    initializer: model.graph?.initializer.filter(isNeeded),
    valueInfo: model.graph?.valueInfo.filter(isNeeded),
  });
}

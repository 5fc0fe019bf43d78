import type { ModelProto, NodeProto } from '../engine/onnx/onnx_pb.ts';
import { valuesReadBy } from './graph.ts';
import { withGraph } from './prune.ts';

/**
 * The model with every node behind those whose results it reads. ONNX demands that order, and yet converters break it
 * (onnxruntime's own to half precision puts its Casts at the end), which onnxruntime forgives. Nodes that are in order
 * stay as they are.
 */
export function inOrder(model: ModelProto): ModelProto {
  const nodes = model.graph?.node ?? [];
  const makers = new Map(nodes.flatMap((node) => node.output.map((name) => [name, node] as const)));
  const ordered = new Set<NodeProto>();
  for (const node of nodes) {
    // Depth first, without recursion: a chain may be thousands of nodes long.
    const open = [node];
    const waiting = new Set<NodeProto>();
    for (let next = open.at(-1); next; next = open.at(-1)) {
      const missing = ordered.has(next) || waiting.has(next) ? [] : missingMakers(next, makers, ordered);
      waiting.add(next);
      if (missing.length > 0) open.push(...missing);
      else ordered.add(open.pop()!);
    }
  }
  return withGraph(model, { node: [...ordered] });
}

function missingMakers(node: NodeProto, makers: ReadonlyMap<string, NodeProto>, ordered: ReadonlySet<NodeProto>) {
  return valuesReadBy(node)
    .map((name) => makers.get(name))
    .filter((maker) => maker !== undefined)
    .filter((maker) => maker !== node && !ordered.has(maker));
}

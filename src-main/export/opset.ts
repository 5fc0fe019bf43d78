import { opsetOf } from '../backbone/opset.ts';
import { Failure } from '../base/failure.ts';
import { OPSET } from '../engine/onnx/model.ts';
import type { GraphProto, ModelProto } from '../engine/onnx/onnx_pb.ts';

/**
 * Operators of ONNX's own domain that compute something else, or take other outputs, from the given opset on.
 * From 13 to 17 all other changes are more element types and new attributes whose defaults keep the old meaning
 * (Reshape's allowzero, Shape's start and end, layout of the RNNs, reduction of the scatters): ONNX's Changelog.md.
 */
const CHANGED_AT: Readonly<Record<string, number>> = { BatchNormalization: 14, RoiAlign: 16 };

/**
 * The opset at which a model can be joined with a traced adaptor, which needs LayerNormalization: 17, or the model's own
 * where that is newer.
 * @throws Failure `backbone-opset` where raising the model's opset would change what one of its operators does.
 */
export function joinedOpset(model: ModelProto): number {
  const own = opsetOf(model);
  const target = Math.max(own, OPSET);
  const changed = own < target && model.graph ? operators(model.graph) : new Set<string>();
  for (const [operator, since] of Object.entries(CHANGED_AT))
    if (changed.has(operator) && own < since)
      throw new Failure(
        'backbone-opset',
        `The backbone's ${operator} means something else from opset ${since} on, and a merged model needs opset ${OPSET}: export the backbone again with opset ${OPSET} or newer, or export the adaptor alone.`,
      );
  return target;
}

function operators(graph: GraphProto, found = new Set<string>()): Set<string> {
  for (const { opType, domain, attribute } of graph.node) {
    if (domain === '' || domain === 'ai.onnx') found.add(opType);
    for (const { g, graphs } of attribute) for (const inner of g ? [g, ...graphs] : graphs) operators(inner, found);
  }
  return found;
}

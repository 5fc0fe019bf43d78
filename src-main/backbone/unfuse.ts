/** Taking apart the one fusion that hides a ViT's spine: SkipLayerNormalization of onnxruntime's optimisers. */
import { node } from '../engine/onnx/model.ts';
import type { ModelProto, NodeProto } from '../engine/onnx/onnx_pb.ts';
import { attributeOf } from './graph.ts';
import { withGraph } from './prune.ts';

const FUSED = 'SkipLayerNormalization';

/** Of com.microsoft's operator, where the node does not say. */
const EPSILON = 1e-12;

/**
 * The model with each SkipLayerNormalization(input, skip, scale, shift, bias) as the Adds and the LayerNormalization that
 * it is, so that every state has a name; its sum is an optional output, which the last one usually lacks. Weights and
 * all other nodes are shared with `model`.
 * Source: onnxruntime's ContribOperators.md, com.microsoft.SkipLayerNormalization.
 */
export function withoutSkipNorms(model: ModelProto): ModelProto {
  const nodes = model.graph?.node ?? [];
  if (!nodes.some(({ opType }) => opType === FUSED)) return model;
  const positions = new Map(nodes.flatMap(({ output }, position) => output.map((name) => [name, position] as const)));
  const position = (value: string): number => positions.get(value) ?? -1;
  return withGraph(model, {
    node: nodes.flatMap((each) => (each.opType === FUSED ? takenApart(each, position) : [each])),
  });
}

function takenApart(fused: NodeProto, position: (value: string) => number): NodeProto[] {
  const [input = '', skip = '', scale = '', shift = '', bias = ''] = fused.input;
  const [normed = '', mean = '', deviation = '', named = ''] = fused.output;
  const sum = named || `${normed}/sum`;
  // The branch is made after the state that it is added to, and has the bias to itself.
  const [state, branch] = position(input) < position(skip) ? [input, skip] : [skip, input];
  const biased = bias ? `${normed}/biased` : branch;
  const epsilon = { float: attributeOf(fused, 'epsilon')?.f ?? EPSILON };
  return [
    ...(bias ? [node('Add', [branch, bias], [biased])] : []),
    node('Add', [state, biased], [sum]),
    node('LayerNormalization', [sum, scale, ...(shift ? [shift] : [])], withoutTrailing([normed, mean, deviation]), {
      axis: -1,
      epsilon,
    }),
  ];
}

/** ONNX leaves out optional outputs at the end, and names those before with nothing. */
function withoutTrailing(names: string[]): string[] {
  const last = names.findLastIndex((name) => name !== '');
  return names.slice(0, last + 1);
}

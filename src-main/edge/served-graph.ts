/** A ViT's graph as it is served: pixels in, sums and pooled rows out, under the names of `oip/outputs.ts`. */
import type { VitStructure } from '../backbone/find-blocks.ts';
import { valuesReadBy } from '../backbone/graph.ts';
import { opsetOf } from '../backbone/opset.ts';
import { keepOutputs, withGraph } from '../backbone/prune.ts';
import { checkOpset } from '../backbone/surgery.ts';
import { OWN, TapWriter } from '../backbone/tap-writer.ts';
import { DataType, floatTensor, model as newModel, node, OPSET, valueInfo } from '../engine/onnx/model.ts';
import type { GraphProto, ModelProto } from '../engine/onnx/onnx_pb.ts';
import { renameValues } from '../export/rename-values.ts';
import { CLS, gatheredName, MEAN, outputSpecs, PIXELS, scaleName } from '../oip/outputs.ts';

const FLOAT: number = DataType.FLOAT;
const SCALE = `${OWN}scale`;

/**
 * The ViT up to block `depth` and no further. Input `pixel_values` float32; outputs `gathered_k_fp32` for each k of
 * `upto` that is not beyond, and where it is the last block `cls` and `mean`.
 * @throws Failure `backbone-opset`
 */
export function depthModel(
  model: ModelProto,
  structure: VitStructure,
  { upto, depth }: { upto: readonly number[]; depth: number },
): ModelProto {
  return served(model, structure, (writer) => {
    for (const k of upto) if (k <= depth) writer.addSum(k, gatheredName(k, 'fp32'));
    if (depth === structure.blocks) writer.addBase({ cls: CLS, mean: MEAN });
  });
}

/**
 * The whole model, for a server that computes no part of a graph: every output of `outputSpecs`, the scales constants.
 * @param scales by k: power of two
 * @throws Failure `backbone-opset`
 */
export function wholeModel(
  model: ModelProto,
  structure: VitStructure,
  scales: ReadonlyMap<number, number>,
): ModelProto {
  return served(model, structure, (writer) => {
    for (const [k, value] of scales) {
      const sum = writer.addSum(k, gatheredName(k, 'fp32'));
      const scale = `${OWN}gathered_${k}_scale`;
      writer.initializers.push(floatTensor(scale, [], Float32Array.of(value)));
      writer.addHalves(sum, scale, gatheredName(k, 'fp16'));
      writer.addCodes(sum, scale, { codes: gatheredName(k, 'int8'), scales: scaleName(k) });
    }
    writer.addBase({ cls: CLS, mean: MEAN });
  });
}

/** Names in `formModel`. */
export const FORM = { map: 'map', scale: SCALE, halves: 'halves', codes: 'codes', scales: 'scales' } as const;

/** From a sum in float32 and its scale to one of the forms in which it travels; see `FORM`. */
export function formModel(structure: VitStructure, form: 'fp16' | 'int8'): ModelProto {
  const { tokens, width } = structure;
  const input = { ...structure.input, batch: null, batchSymbol: null };
  const writer = new TapWriter({ ...structure, input }, 'fp16', OPSET);
  if (form === 'fp16') writer.addHalves(FORM.map, FORM.scale, FORM.halves);
  else writer.addCodes(FORM.map, FORM.scale, { codes: FORM.codes, scales: FORM.scales });
  return newModel({
    name: form,
    nodes: writer.nodes,
    inputs: [valueInfo(FORM.map, DataType.FLOAT, ['batch', tokens, width]), valueInfo(FORM.scale, DataType.FLOAT, [])],
    outputs: writer.outputs,
    initializers: writer.initializers,
  });
}

function served(model: ModelProto, structure: VitStructure, write: (writer: TapWriter) => void): ModelProto {
  checkOpset(model);
  const { graph, names } = withFreeNames(model.graph!, structure);
  const named = (name: string) => names.get(name) ?? name;
  const { input, imageHeight, imageWidth } = structure;
  const writer = new TapWriter({ ...structure, states: structure.states.map(named) }, 'fp16', opsetOf(model));
  write(writer);
  const inner = named(input.name);
  const batch = input.batch ?? input.batchSymbol ?? 'batch';
  // Nothing but a name where the pixels are float32 anyway.
  const taken = inner === PIXELS ? [] : [node('Cast', [PIXELS], [inner], { to: input.dataType })];
  const extended = withGraph(model, {
    ...graph,
    node: [...taken, ...graph.node, ...writer.nodes],
    input: [
      valueInfo(PIXELS, DataType.FLOAT, [batch, 3, imageHeight, imageWidth]),
      ...graph.input.filter(({ name }) => name !== inner && name !== PIXELS),
    ],
    initializer: [...graph.initializer, ...writer.initializers],
  });
  return keepOutputs(extended, writer.outputs);
}

/** The graph, with other names for those of its values that are called as what is served. */
function withFreeNames(graph: GraphProto, structure: VitStructure): { graph: GraphProto; names: Map<string, string> } {
  const { input, blocks } = structure;
  const upto = Array.from({ length: blocks }, (_, index) => index + 1);
  const kept = new Set([PIXELS, CLS, MEAN, ...outputSpecs(structure, upto).map(({ name }) => name)]);
  if (input.name === PIXELS && input.dataType === FLOAT) kept.delete(PIXELS);
  const there = [
    ...graph.input.map(({ name }) => name),
    ...graph.initializer.map(({ name }) => name),
    ...graph.node.flatMap((each) => [...each.output, ...valuesReadBy(each)]),
  ];
  const clashing = there.filter((name) => kept.has(name) || name.startsWith(OWN));
  const names = new Map(clashing.map((name) => [name, `backbone/${name}`]));
  return { graph: names.size > 0 ? renameValues(graph, names) : graph, names };
}

/** Adding to a ViT's graph the outputs that a method trains on, summed inside the graph. */
import { create } from '@bufbuild/protobuf';
import { Failure } from '../base/failure.ts';
import { DataType, node, valueInfo } from '../engine/onnx/model.ts';
import { ValueInfoProtoSchema } from '../engine/onnx/onnx_pb.ts';
import type { ModelProto } from '../engine/onnx/onnx_pb.ts';
import type { VitStructure } from './find-blocks.ts';
import { valuesReadBy } from './graph.ts';
import { opsetOf } from './opset.ts';
import { keepOutputs, withGraph } from './prune.ts';
import { mapName, OWN, TapWriter, type MapRequest, type MapStorage } from './tap-writer.ts';

export { BASE_CLS, BASE_MEAN, mapName, mapValues } from './tap-writer.ts';
export type { MapRequest, MapStorage } from './tap-writer.ts';

export interface TapRequest {
  maps: readonly MapRequest[];
  /** Default: fp16. */
  storage?: MapStorage;
  /** Whether to put out the head's base vectors: `base_cls` (where there is a CLS token) and `base_mean`. */
  base: boolean;
  /** Whether the model's own outputs stay. */
  keepLogits?: boolean;
}

const OLDEST_OPSET = 13;

/**
 * A new model that puts out, for each map M of the request:
 * - `M` float16 [batch, tokens, width] = M / scale, rounded to half precision,
 * - `M_row_sums`, `M_row_square_sums` float32 [batch, tokens], of the map as stored: rounded, then times scale;
 * with a scalar float input `M_scale` (a power of two, so that dividing loses nothing). With storage `int8`, `M` is
 * rounded further, in each row to multiples of a step, and both are put out too: `M_codes` int8 [batch, tokens, width],
 * -127 to 127, and `M_row_steps` float16 [batch, tokens]. Steps have so few bits that code * step is a half-precision
 * number: `M` is their product to the bit, wherever that is taken. For `base`
 * `base_cls`, `base_mean` (patch tokens only) float32 [batch, width] of the unrounded z_L, before the final LayerNorm.
 * Sums are float32 and shared between maps. The model's own outputs go, with all that only they needed, unless
 * `keepLogits`. Weights are shared with `model`, not copied.
 * Failure when a map does not exist in this ViT, or the model is older than opset 13.
 */
export function addTaps(model: ModelProto, structure: VitStructure, request: TapRequest): ModelProto {
  checkOpset(model);
  const writer = new TapWriter(structure, request.storage ?? 'fp16', opsetOf(model));
  const maps = new Map(request.maps.map((map) => [mapName(map), map]));
  for (const map of maps.values()) writer.addMap(map);
  if (request.base) writer.addBase();
  checkNames(model, writer);
  const graph = model.graph;
  const extended = withGraph(model, {
    node: [...(graph?.node ?? []), ...writer.nodes],
    input: [...(graph?.input ?? []), ...writer.inputs],
    initializer: [...(graph?.initializer ?? []), ...writer.initializers],
  });
  return keepOutputs(extended, [...(request.keepLogits ? (graph?.output ?? []) : []), ...writer.outputs]);
}

/** The model with more of its inner values put out as they are, its own outputs kept; element type as stated. */
export function exposeValues(
  model: ModelProto,
  names: readonly string[],
  precision: VitStructure['precision'] = 'float32',
): ModelProto {
  const outputs = names.map((name) =>
    create(ValueInfoProtoSchema, {
      name,
      type: {
        value: {
          case: 'tensorType',
          value: { elemType: precision === 'float16' ? DataType.FLOAT16 : DataType.FLOAT },
        },
      },
    }),
  );
  return withGraph(model, { output: [...(model.graph?.output ?? []), ...outputs] });
}

/** Name of the input that `withFloatPixels` gives a model. */
export const FLOAT_PIXELS = `${OWN}pixels`;

/** A model of half-precision (or double) pixels, made to take float32 ones as `FLOAT_PIXELS`. */
export function withFloatPixels(model: ModelProto, { input, imageHeight, imageWidth }: VitStructure): ModelProto {
  const batch = input.batch ?? input.batchSymbol ?? 'batch';
  const cast = node('Cast', [FLOAT_PIXELS], [input.name], { to: input.dataType });
  const pixels = valueInfo(FLOAT_PIXELS, DataType.FLOAT, [batch, 3, imageHeight, imageWidth]);
  return withGraph(model, {
    node: [cast, ...(model.graph?.node ?? [])],
    input: [pixels, ...(model.graph?.input ?? []).filter(({ name }) => name !== input.name)],
  });
}

/** @throws Failure `backbone-opset` */
export function checkOpset(model: ModelProto): void {
  const version = opsetOf(model);
  if (version < OLDEST_OPSET) {
    throw new Failure(
      'backbone-opset',
      `The model is written for ONNX opset ${version}; export it again with opset ${OLDEST_OPSET} or newer.`,
    );
  }
}

function checkNames(model: ModelProto, writer: TapWriter): void {
  const taken = new Set(model.graph?.initializer.map(({ name }) => name));
  for (const input of model.graph?.input ?? []) taken.add(input.name);
  for (const each of model.graph?.node ?? [])
    for (const name of [...each.output, ...valuesReadBy(each)]) taken.add(name);
  const own = [...writer.inputs, ...writer.initializers].map(({ name }) => name);
  const clash = [...own, ...writer.nodes.flatMap(({ output }) => output)].find((name) => taken.has(name));
  if (clash !== undefined) {
    throw new Failure(
      'backbone-names',
      `The model already has a value named "${clash}", which is kept for side-tuning's own outputs; export it again from the framework it came from.`,
    );
  }
}

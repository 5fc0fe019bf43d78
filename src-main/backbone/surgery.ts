/** Adding to a ViT's graph the outputs that a method trains on, summed inside the graph. */
import { create } from '@bufbuild/protobuf';
import { Failure } from '../base/failure.ts';
import { DataType, floatTensor, int64Tensor, node, valueInfo, type Attribute } from '../engine/onnx/model.ts';
import { ValueInfoProtoSchema } from '../engine/onnx/onnx_pb.ts';
import type { ModelProto, NodeProto, TensorProto, ValueInfoProto } from '../engine/onnx/onnx_pb.ts';
import type { VitStructure } from './find-blocks.ts';
import { valuesReadBy } from './graph.ts';
import { opsetOf } from './opset.ts';
import { keepOutputs, withGraph } from './prune.ts';

/**
 * A cumulative map of block outputs z_0 .. z_L:
 * P (LAST) with group g: P_i = z_0 + z_g + ... + z_{ig}; S (MIET): S_k = z_0 + z_1 + ... + z_k.
 */
export type MapRequest = { kind: 'P'; group: number; index: number } | { kind: 'S'; index: number };

/** How a map is rounded: to half precision, or in each row to 255 multiples of a step. */
export type MapStorage = 'fp16' | 'int8';

export interface TapRequest {
  maps: readonly MapRequest[];
  /** Default: fp16. */
  storage?: MapStorage;
  /** Whether to put out the head's base vectors: `base_cls` (where there is a CLS token) and `base_mean`. */
  base: boolean;
  /** Whether the model's own outputs stay. */
  keepLogits?: boolean;
}

/** Name of a map's output, such as `P1_3` (group 1, index 3) or `S_8`. */
export function mapName(map: MapRequest): string {
  return map.kind === 'P' ? `P${map.group}_${map.index}` : `S_${map.index}`;
}

/** Names of the graph's values that belong to a map. */
export function mapValues(map: MapRequest) {
  const name = mapName(map);
  return {
    map: name,
    scale: `${name}_scale`,
    codes: `${name}_codes`,
    rowSteps: `${name}_row_steps`,
    rowSums: `${name}_row_sums`,
    rowSquareSums: `${name}_row_square_sums`,
  };
}

export const BASE_CLS = 'base_cls';
export const BASE_MEAN = 'base_mean';

/** Every value and node made here starts with it. */
const OWN = 'sidetune/';
const OLDEST_OPSET = 13;
/** From here on reductions other than ReduceSum take their axes as an input. */
const AXES_ARE_INPUT = 18;

/** Largest code of a map in 8 bits, which is symmetric around 0. */
const LARGEST_CODE = 127;
/** Significant bits of a row's step: with the 7 of a code, no more than half precision has. */
const STEP_BITS = 4;
/** Smallest step of which all multiples are half-precision numbers. */
const SMALLEST_STEP = 2 ** (STEP_BITS - 1 - 24);

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

class TapWriter {
  readonly nodes: NodeProto[] = [];
  readonly inputs: ValueInfoProto[] = [];
  readonly outputs: ValueInfoProto[] = [];
  readonly initializers: TensorProto[] = [];
  private readonly written = new Set<string>();
  private readonly batch: number | string;

  constructor(
    private readonly structure: VitStructure,
    private readonly storage: MapStorage,
    private readonly opset: number,
  ) {
    this.batch = structure.input.batch ?? structure.input.batchSymbol ?? 'batch';
  }

  addMap(map: MapRequest): void {
    checkMap(map, this.structure);
    const { tokens, width } = this.structure;
    const names = mapValues(map);
    const sum = this.sum(map.kind === 'P' ? map.group : 1, map.index);
    this.inputs.push(valueInfo(names.scale, DataType.FLOAT, []));
    const scaled = this.add('Div', [sum, names.scale], `${OWN}${names.map}_scaled`);
    const rounded = this.storage === 'int8' ? this.roundRows(scaled, names) : scaled;
    this.add('Cast', [rounded], names.map, { to: DataType.FLOAT16 });
    const read = this.add('Cast', [names.map], `${OWN}${names.map}_read`, { to: DataType.FLOAT });
    const stored = this.add('Mul', [read, names.scale], `${OWN}${names.map}_stored`);
    const lastAxis = this.integers('last_axis', [-1]);
    this.add('ReduceSum', [stored, lastAxis], names.rowSums, { keepdims: 0 });
    this.reduceRows('ReduceSumSquare', stored, names.rowSquareSums, 0);
    this.outputs.push(
      valueInfo(names.map, DataType.FLOAT16, [this.batch, tokens, width]),
      valueInfo(names.rowSums, DataType.FLOAT, [this.batch, tokens]),
      valueInfo(names.rowSquareSums, DataType.FLOAT, [this.batch, tokens]),
    );
  }

  /**
   * Each row as multiples of the step by which its largest magnitude is no more than 127 of them, in float32. The step
   * is rounded to its few bits by Veltkamp's splitting (Dekker, Numer. Math. 18, 1971), raised by half of the last bit
   * before, so that it never comes out too small.
   */
  private roundRows(rows: string, names: ReturnType<typeof mapValues>): string {
    const own = (part: string) => `${OWN}${names.map}_${part}`;
    const magnitudes = this.add('Abs', [rows], own('magnitudes'));
    const largest = this.reduceRows('ReduceMax', magnitudes, own('largest'), 1);
    const raised = this.number('step_of_largest', (1 + 2 ** -STEP_BITS) / LARGEST_CODE);
    const wanted = this.add('Mul', [largest, raised], own('wanted_step'));
    const exact = this.add('Max', [wanted, this.number('smallest_step', SMALLEST_STEP)], own('exact_step'));
    const split = this.add('Mul', [exact, this.number('step_splitter', 2 ** (24 - STEP_BITS) + 1)], own('step_split'));
    const rest = this.add('Sub', [split, exact], own('step_rest'));
    const step = this.add('Sub', [split, rest], own('step'));
    const codes = this.add('Round', [this.add('Div', [rows, step], own('quotients'))], own('whole_codes'));
    this.add('Cast', [codes], names.codes, { to: DataType.INT8 });
    const rowSteps = this.add('Squeeze', [step, this.integers('last_axis', [-1])], own('row_step'));
    this.add('Cast', [rowSteps], names.rowSteps, { to: DataType.FLOAT16 });
    const { tokens, width } = this.structure;
    this.outputs.push(
      valueInfo(names.codes, DataType.INT8, [this.batch, tokens, width]),
      valueInfo(names.rowSteps, DataType.FLOAT16, [this.batch, tokens]),
    );
    return this.add('Mul', [codes, step], own('restored'));
  }

  private reduceRows(
    operator: 'ReduceMax' | 'ReduceSumSquare',
    input: string,
    output: string,
    keepdims: number,
  ): string {
    if (this.opset < AXES_ARE_INPUT) return this.add(operator, [input], output, { axes: [-1], keepdims });
    return this.add(operator, [input, this.integers('last_axis', [-1])], output, { keepdims });
  }

  addBase(): void {
    const { blocks, prefix, tokens, width } = this.structure;
    const last = this.state(blocks);
    const tokenAxis = this.integers('token_axis', [1]);
    if (prefix > 0) {
      this.add('Gather', [last, this.integer('cls_row', 0)], BASE_CLS, { axis: 1 });
      this.outputs.push(valueInfo(BASE_CLS, DataType.FLOAT, [this.batch, width]));
    }
    const from = this.integers('first_patch', [prefix]);
    const to = this.integers('token_count', [tokens]);
    const patches = this.add('Slice', [last, from, to, tokenAxis], `${OWN}patches`);
    const total = this.add('ReduceSum', [patches, tokenAxis], `${OWN}patch_sum`, { keepdims: 0 });
    const count = `${OWN}patch_count`;
    this.initializers.push(floatTensor(count, [], Float32Array.of(tokens - prefix)));
    this.add('Div', [total, count], BASE_MEAN);
    this.outputs.push(valueInfo(BASE_MEAN, DataType.FLOAT, [this.batch, width]));
  }

  /** z_0 + z_g + ... + z_{ig} in float32; each sum is the one before plus one state. */
  private sum(group: number, index: number): string {
    const state = this.state(index * group);
    if (index === 0) return state;
    const name = `${OWN}sum_${group}_${index}`;
    if (this.written.has(name)) return name;
    return this.add('Add', [this.sum(group, index - 1), state], name);
  }

  /** z_i in float32. */
  private state(index: number): string {
    const state = this.structure.states[index];
    if (state === undefined) throw new RangeError(`no state z_${index}`);
    if (this.structure.precision === 'float32') return state;
    return this.add('Cast', [state], `${OWN}state_${index}`, { to: DataType.FLOAT });
  }

  private add(opType: string, inputs: string[], output: string, attributes: Record<string, Attribute> = {}): string {
    if (this.written.has(output)) return output;
    this.written.add(output);
    this.nodes.push(node(opType, inputs, [output], attributes));
    return output;
  }

  private integers(name: string, values: number[], shape?: number[]): string {
    const full = `${OWN}${name}`;
    if (this.written.has(full)) return full;
    this.written.add(full);
    this.initializers.push(int64Tensor(full, values, shape));
    return full;
  }

  private number(name: string, value: number): string {
    const full = `${OWN}${name}`;
    if (this.written.has(full)) return full;
    this.written.add(full);
    this.initializers.push(floatTensor(full, [], Float32Array.of(value)));
    return full;
  }

  private integer(name: string, value: number): string {
    return this.integers(name, [value], []);
  }
}

function checkMap(map: MapRequest, { blocks }: VitStructure): void {
  const group = map.kind === 'P' ? map.group : 1;
  if (!Number.isInteger(group) || group < 1 || blocks % group !== 0) {
    throw new Failure(
      'bad-map',
      `The group ${group} does not divide the backbone's ${blocks} blocks: choose one that does.`,
    );
  }
  if (!Number.isInteger(map.index) || map.index < 0 || map.index * group > blocks) {
    throw new Failure(
      'bad-map',
      `The map ${mapName(map)} does not exist: with ${blocks} blocks its index goes from 0 to ${blocks / group}.`,
    );
  }
}

function checkOpset(model: ModelProto): void {
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

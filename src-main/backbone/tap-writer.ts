/** Writes into a ViT's graph the sums of its states and the forms in which they are put out. */
import { Failure } from '../base/failure.ts';
import { DataType, floatTensor, int64Tensor, node, valueInfo, type Attribute } from '../engine/onnx/model.ts';
import type { NodeProto, TensorProto, ValueInfoProto } from '../engine/onnx/onnx_pb.ts';
import type { VitStructure } from './find-blocks.ts';

/**
 * A cumulative map of block outputs z_0 .. z_L:
 * P (LAST) with group g: P_i = z_0 + z_g + ... + z_{ig}; S (MIET): S_k = z_0 + z_1 + ... + z_k.
 */
export type MapRequest = { kind: 'P'; group: number; index: number } | { kind: 'S'; index: number };

/** How a map is rounded: to half precision, or in each row to 255 multiples of a step. */
export type MapStorage = 'fp16' | 'int8';

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
export const OWN = 'sidetune/';
/** From here on reductions other than ReduceSum take their axes as an input. */
const AXES_ARE_INPUT = 18;

/** Largest code of a map in 8 bits, which is symmetric around 0. */
const LARGEST_CODE = 127;
/** Significant bits of a row's step: with the 7 of a code, no more than half precision has. */
const STEP_BITS = 4;
/** Smallest step of which all multiples are half-precision numbers. */
const SMALLEST_STEP = 2 ** (STEP_BITS - 1 - 24);

export class TapWriter {
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
    const rounded = this.storage === 'int8' ? this.roundToSteps(scaled, names) : scaled;
    this.add('Cast', [rounded], names.map, { to: DataType.FLOAT16 });
    this.outputs.push(valueInfo(names.map, DataType.FLOAT16, [this.batch, tokens, width]));
    this.addRowSums(names);
  }

  /**
   * Puts out the sums over the width of a map as stored, which is `names.map` times `names.scale`, and of its squares.
   * The sums are scaled, not the map: to the bit the same, as a scale is a power of two, and a pass over the map less.
   */
  addRowSums(names: ReturnType<typeof mapValues>): void {
    const { tokens } = this.structure;
    const own = (part: string) => `${OWN}${names.map}_${part}`;
    const read = this.add('Cast', [names.map], own('read'), { to: DataType.FLOAT });
    const sums = this.add('ReduceSum', [read, this.integers('last_axis', [-1])], own('read_sums'), { keepdims: 0 });
    this.add('Mul', [sums, names.scale], names.rowSums);
    const squareSums = this.reduceRows('ReduceSumSquare', read, own('read_square_sums'), 0);
    const squaredScale = this.add('Mul', [names.scale, names.scale], own('squared_scale'));
    this.add('Mul', [squareSums, squaredScale], names.rowSquareSums);
    this.outputs.push(
      valueInfo(names.rowSums, DataType.FLOAT, [this.batch, tokens]),
      valueInfo(names.rowSquareSums, DataType.FLOAT, [this.batch, tokens]),
    );
  }

  /** Puts out codes and steps. @returns their product */
  private roundToSteps(rows: string, names: ReturnType<typeof mapValues>): string {
    const { codes, step } = this.roundRows(rows, names.map);
    this.add('Cast', [codes], names.codes, { to: DataType.INT8 });
    const rowSteps = this.add('Squeeze', [step, this.integers('last_axis', [-1])], `${OWN}${names.map}_row_step`);
    this.add('Cast', [rowSteps], names.rowSteps, { to: DataType.FLOAT16 });
    const { tokens, width } = this.structure;
    this.outputs.push(
      valueInfo(names.codes, DataType.INT8, [this.batch, tokens, width]),
      valueInfo(names.rowSteps, DataType.FLOAT16, [this.batch, tokens]),
    );
    return this.add('Mul', [codes, step], `${OWN}${names.map}_restored`);
  }

  /**
   * Each row as multiples of the step by which its largest magnitude is no more than 127 of them, in float32. The step
   * is rounded to its few bits by Veltkamp's splitting (Dekker, Numer. Math. 18, 1971), raised by half of the last bit
   * before, so that it never comes out too small.
   * @returns names of the codes and of the steps [batch, tokens, 1], both float32
   */
  private roundRows(rows: string, name: string): { codes: string; step: string } {
    const own = (part: string) => `${OWN}${name}_${part}`;
    const magnitudes = this.add('Abs', [rows], own('magnitudes'));
    const largest = this.reduceRows('ReduceMax', magnitudes, own('largest'), 1);
    const raised = this.number('step_of_largest', (1 + 2 ** -STEP_BITS) / LARGEST_CODE);
    const wanted = this.add('Mul', [largest, raised], own('wanted_step'));
    const exact = this.add('Max', [wanted, this.number('smallest_step', SMALLEST_STEP)], own('exact_step'));
    const split = this.add('Mul', [exact, this.number('step_splitter', 2 ** (24 - STEP_BITS) + 1)], own('step_split'));
    const rest = this.add('Sub', [split, exact], own('step_rest'));
    const step = this.add('Sub', [split, rest], own('step'));
    const codes = this.add('Round', [this.add('Div', [rows, step], own('quotients'))], own('whole_codes'));
    return { codes, step };
  }

  /** Puts out S_index as it is, float32. @returns the value inside, for its other forms */
  addSum(index: number, name: string): string {
    checkMap({ kind: 'S', index }, this.structure);
    const { tokens, width } = this.structure;
    const sum = this.sum(1, index);
    this.add('Identity', [sum], name);
    this.outputs.push(valueInfo(name, DataType.FLOAT, [this.batch, tokens, width]));
    return sum;
  }

  /** Puts out a map (float32 [batch, tokens, width]) over its scale, rounded as the cache does: float16. */
  addHalves(map: string, scale: string, name: string): void {
    const { tokens, width } = this.structure;
    const scaled = this.add('Div', [map, scale], `${OWN}${name}_scaled`);
    this.add('Cast', [scaled], name, { to: DataType.FLOAT16 });
    this.outputs.push(valueInfo(name, DataType.FLOAT16, [this.batch, tokens, width]));
  }

  /**
   * Puts out a map (float32 [batch, tokens, width]) as the codes of the cache in 8 bits, and the float32 scale of each
   * token: code * scale is the value.
   */
  addCodes(map: string, scale: string, names: { codes: string; scales: string }): void {
    const { tokens, width } = this.structure;
    const scaled = this.add('Div', [map, scale], `${OWN}${names.codes}_scaled`);
    const { codes, step } = this.roundRows(scaled, names.codes);
    this.add('Cast', [codes], names.codes, { to: DataType.INT8 });
    const rowStep = this.add('Squeeze', [step, this.integers('last_axis', [-1])], `${OWN}${names.codes}_row_step`);
    this.add('Mul', [rowStep, scale], names.scales);
    this.outputs.push(
      valueInfo(names.codes, DataType.INT8, [this.batch, tokens, width]),
      valueInfo(names.scales, DataType.FLOAT, [this.batch, tokens]),
    );
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

  addBase(names: { cls: string; mean: string } = { cls: BASE_CLS, mean: BASE_MEAN }): void {
    const { blocks, prefix, tokens, width } = this.structure;
    const last = this.state(blocks);
    const tokenAxis = this.integers('token_axis', [1]);
    if (prefix > 0) {
      this.add('Gather', [last, this.integer('cls_row', 0)], names.cls, { axis: 1 });
      this.outputs.push(valueInfo(names.cls, DataType.FLOAT, [this.batch, width]));
    }
    const from = this.integers('first_patch', [prefix]);
    const to = this.integers('token_count', [tokens]);
    const patches = this.add('Slice', [last, from, to, tokenAxis], `${OWN}patches`);
    const total = this.add('ReduceSum', [patches, tokenAxis], `${OWN}patch_sum`, { keepdims: 0 });
    const count = `${OWN}patch_count`;
    this.initializers.push(floatTensor(count, [], Float32Array.of(tokens - prefix)));
    this.add('Div', [total, count], names.mean);
    this.outputs.push(valueInfo(names.mean, DataType.FLOAT, [this.batch, width]));
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

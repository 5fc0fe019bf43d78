/** Running a ViT once, for what its graph does not tell for sure, and to know that onnxruntime can run it at all. */
import { Failure } from '../base/failure.ts';
import { DataType, encodeModel, node, valueInfo } from '../engine/onnx/model.ts';
import type { ModelProto, NodeProto, ValueInfoProto } from '../engine/onnx/onnx_pb.ts';
import type { SentTensor } from '../engine/session-messages.ts';
import { SessionThread } from '../engine/session-thread.ts';
import { findBlocks } from './find-blocks.ts';
import type { VitStructure } from './find-blocks.ts';
import { Graph } from './graph.ts';
import { keepOutputs, withGraph } from './prune.ts';
import { FLOAT_PIXELS, withFloatPixels } from './surgery.ts';

const SHAPE = 'sidetune/shape_';
const LARGEST = 'sidetune/largest';
const SHARES = 'sidetune/shares_shape';

export interface SizeChoice {
  /** Side in pixels that was asked for. */
  size?: number;
  /** One to be tried where none was and the file leaves it open. */
  hint?: number;
}

/** What a model is, by its graph and by a run. Failures of `findBlocks` and `measureVit`. */
export async function inspectModel(model: ModelProto, { size, hint }: SizeChoice = {}): Promise<VitStructure> {
  const tried = size ?? hint;
  const structure = findBlocks(model, { size: tried });
  const isOpen = structure.input.height === null || structure.input.width === null;
  try {
    return await measureVit(model, structure);
  } catch (error) {
    if (!isOpen || tried === undefined) throw error;
    if (size === undefined) return inspectModel(model);
    if (error instanceof Failure && error.code === 'backbone-size') throw error;
    throw new Failure(
      'bad-preprocessing',
      `The model takes no images of ${size} x ${size} pixels, although its file leaves the size open: leave --size out, or export it for ${size} pixels.`,
      { cause: error },
    );
  }
}

/**
 * The structure with tokens, prefix tokens and heads as a run of the model shows them, and with a batch of one image
 * where the file promises any number and takes one alone.
 * Failure `backbone` when onnxruntime cannot run it, `backbone-not-vit` when its states are not [batch, tokens, width],
 * `backbone-size` when images are so large that no machine has the memory for it.
 */
export async function measureVit(model: ModelProto, structure: VitStructure): Promise<VitStructure> {
  checkSize(structure);
  const thread = new SessionThread();
  try {
    const bytes = encodeModel(withShapes(withFloatPixels(model, structure), structure));
    const session = await thread.open(bytes, 1).catch((error: unknown) => {
      throw cannotRun(error);
    });
    const run = (batch: number): Promise<Outputs> => session.run({ [FLOAT_PIXELS]: noise(structure, batch) });
    const { input } = structure;
    if (input.batch !== null) return measured(structure, await run(input.batch).catch(asFailure), input.batch);
    try {
      return measured(structure, await run(2), 2);
    } catch (error) {
      if (error instanceof Failure) throw error;
      const single = { ...structure, input: { ...input, batch: 1, batchSymbol: null } };
      return measured(single, await run(1).catch(asFailure), 1);
    }
  } finally {
    await thread.close();
  }
}

/** Patches of which each sees each: twice that would be four times the memory. */
const MOST_PATCHES = 10_000;

function checkSize({ imageHeight, imageWidth, patchSize }: VitStructure): void {
  const patches = (imageHeight * imageWidth) / patchSize ** 2;
  if (patches <= MOST_PATCHES) return;
  const gigabytes = (4 * patches ** 2) / 1e9;
  throw new Failure(
    'backbone-size',
    `Images of ${imageWidth} x ${imageHeight} pixels are ${Math.round(patches).toLocaleString('en-US')} patches, whose attention would take ${gigabytes.toFixed(1)} GB of memory for each head and image: give a smaller --size.`,
  );
}

type Outputs = Record<string, SentTensor>;

function asFailure(error: unknown): never {
  throw cannotRun(error);
}

/** The model with the shapes of its states as its only outputs, and their largest number, for which all must be run. */
function withShapes(model: ModelProto, { states }: VitStructure): ModelProto {
  const nodes: NodeProto[] = [];
  const outputs: ValueInfoProto[] = [];
  const addShape = (value: string, name: string): void => {
    nodes.push(
      node('Shape', [value], [`${name}_wide`]),
      node('Cast', [`${name}_wide`], [name], { to: DataType.INT32 }),
    );
    outputs.push(valueInfo(name, DataType.INT32, [`${name}_rank`]));
  };
  states.forEach((state, index) => {
    addShape(state, `${SHAPE}${index}`);
  });
  const shares = firstSoftmax(model, states);
  if (shares) addShape(shares, SHARES);
  nodes.push(
    node('Cast', [states.at(-1)!], [`${LARGEST}_state`], { to: DataType.FLOAT }),
    node('Abs', [`${LARGEST}_state`], [`${LARGEST}_magnitudes`]),
    node('ReduceMax', [`${LARGEST}_magnitudes`], [LARGEST], { keepdims: 0 }),
  );
  outputs.push(valueInfo(LARGEST, DataType.FLOAT, []));
  return keepOutputs(withGraph(model, { node: [...(model.graph?.node ?? []), ...nodes] }), outputs);
}

/** The attention shares of the first block, where they are not inside a fused node. */
function firstSoftmax(model: ModelProto, [start = '', first = '']: string[]): string | undefined {
  const graph = new Graph(model);
  const block = graph.nodesBehind(first, new Set([start]), graph.position(start));
  return [...block].find(({ opType }) => opType === 'Softmax')?.output[0];
}

/** Pixels that differ everywhere, of mean 0 and within [-1, 1]; no randomness, so that a model is measured alike each time. */
function noise({ imageHeight, imageWidth }: VitStructure, batch: number): SentTensor {
  const data = Float32Array.from({ length: batch * 3 * imageHeight * imageWidth }, (_, i) => Math.sin(i * (1 + i)));
  return { storage: 'float32', shape: [batch, 3, imageHeight, imageWidth], data };
}

function measured(structure: VitStructure, outputs: Outputs, batch: number): VitStructure {
  const { states, width, imageHeight, imageWidth, patchSize } = structure;
  const shapes = states.map((_, index) => Array.from(outputs[`${SHAPE}${index}`]!.data as Int32Array));
  const tokens = shapes[0]?.[1] ?? 0;
  const wanted = [batch, tokens, width].join(', ');
  shapes.forEach((shape, index) => {
    if (shape.join(', ') === wanted) return;
    throw new Failure(
      'backbone-not-vit',
      `States of one shape [batch, tokens, ${width}] were looked for between the blocks, and for ${batch} images that ${index === 0 ? 'before the first block' : `after block ${index}`} is [${shape.join(', ')}]: the model is no plain Vision Transformer.`,
    );
  });
  if (!Number.isFinite((outputs[LARGEST]!.data as Float32Array)[0])) {
    throw new Failure(
      'non-finite',
      'The model gives numbers that are not finite for pixels in [-1, 1]: it is damaged.',
    );
  }
  const patches = Math.floor(imageHeight / patchSize) * Math.floor(imageWidth / patchSize);
  if (tokens < patches) {
    throw new Failure(
      'backbone-not-vit',
      `A token for each of the ${patches} patches of a ${imageWidth} x ${imageHeight} image was looked for, and ${tokens} were found: patches are merged or left out, which a plain Vision Transformer does not do.`,
    );
  }
  return { ...structure, tokens, prefix: tokens - patches, heads: structure.heads ?? headsOf(outputs, batch) };
}

/** From shares [batch, heads, tokens, tokens], or [batch * heads, tokens, tokens]. */
function headsOf(outputs: Outputs, batch: number): number | null {
  const shape = outputs[SHARES]?.data as Int32Array | undefined;
  if (shape?.length === 4) return shape[1]!;
  return shape?.length === 3 && shape[0]! % batch === 0 ? shape[0]! / batch : null;
}

function cannotRun(error: unknown): Failure {
  const words = error instanceof Error ? error.message : String(error);
  const line = words.split('\n', 1)[0]!.trim().replace(/\.$/, '');
  return new Failure(
    'backbone',
    `onnxruntime cannot run the model (${line}): export it again, as float32 with opset 17.`,
    { cause: error },
  );
}

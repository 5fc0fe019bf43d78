/** What lies under the first block: image size, patches, tokens. */
import { Failure } from '../base/failure.ts';
import type { NodeProto } from '../engine/onnx/onnx_pb.ts';
import { explainInputs } from './explain.ts';
import { foldScalar } from './fold.ts';
import { declaredShape, declaredType, intAttribute, intsAttribute } from './graph.ts';
import type { Graph } from './graph.ts';
import { matchLayerNorm } from './layer-norm.ts';
import { dimsOf, elementCount, isFloatType } from './tensors.ts';

export interface ImageInput {
  name: string;
  /** TensorProto.DataType that the model wants its pixels in. */
  dataType: number;
  /** A fixed batch, or null where any number of images goes in at once. */
  batch: number | null;
  /** Name of the symbolic batch dimension; null where the batch is fixed. */
  batchSymbol: string | null;
  /** Pixels; null where the file leaves it open. */
  height: number | null;
  width: number | null;
}

/** The model's one image input; Failure when it is not float [N, 3, H, W]. */
export function findImageInput(graph: Graph): ImageInput {
  const fed = graph.fedInputs();
  const [info] = fed;
  const shape = (info && declaredShape(info)) ?? [];
  const [batch = null, channels = null, height = null, width = null] = shape;
  const colours = typeof channels !== 'number' || channels === 3;
  if (!info || fed.length !== 1 || shape.length !== 4 || !colours || !isFloatType(declaredType(info)))
    throw explainInputs(fed);
  return {
    name: info.name,
    dataType: declaredType(info),
    batch: typeof batch === 'number' && batch > 0 ? batch : null,
    batchSymbol: typeof batch === 'number' && batch > 0 ? null : typeof batch === 'string' && batch ? batch : 'batch',
    height: typeof height === 'number' && height > 0 ? height : null,
    width: typeof width === 'number' && width > 0 ? width : null,
  };
}

export interface Embedding {
  imageHeight: number;
  imageWidth: number;
  patchSize: number;
  tokens: number;
  /** CLS, distilled and register tokens: those that are no patch. */
  prefix: number;
}

/**
 * Reads image size, patch size and number of tokens between the image and z_0. What the file leaves open is `size`
 * pixels, else what its position embedding was made for. The tokens are counted as far as the graph tells.
 * Failure when a part of it cannot be told.
 */
export function readEmbedding(graph: Graph, input: ImageInput, start: string, width: number, size?: number): Embedding {
  const patchSize = findPatchSize(graph, start);
  const side =
    input.height !== null && input.width !== null ? 0 : (size ?? nativeSide(graph, start, width) * patchSize);
  const imageHeight = input.height ?? side;
  const imageWidth = input.width ?? side;
  const patches = Math.floor(imageHeight / patchSize) * Math.floor(imageWidth / patchSize);
  const tokens = countTokens(graph, start, patches) ?? patches;
  return { imageHeight, imageWidth, patchSize, tokens, prefix: Math.max(0, tokens - patches) };
}

/** Patches along a side of the square images that the position embedding was made for. */
function nativeSide(graph: Graph, start: string, width: number): number {
  const positions = [...graph.nodesBehind(start)].flatMap((node) =>
    CONVOLUTIONS.has(node.opType) ? [] : node.input.map((name) => graph.tensor(name)),
  );
  let most = 0;
  for (const tensor of positions) {
    const dims = tensor && isFloatType(tensor.dataType) ? dimsOf(tensor) : [];
    if (dims.includes(width)) most = Math.max(most, elementCount(dims) / width);
  }
  if (most > 1) return Math.floor(Math.sqrt(most));
  throw new Failure(
    'backbone-size',
    'The model takes images of any size and has no position embedding that would tell which it was made for: say it with --size PIXELS.',
  );
}

/** The second is what 8-bit quantisation makes of the first. */
const CONVOLUTIONS: ReadonlySet<string> = new Set(['Conv', 'ConvInteger']);

function findPatchSize(graph: Graph, start: string): number {
  const convolutions = [...graph.nodesBehind(start)].filter(({ opType }) => CONVOLUTIONS.has(opType));
  const [patch] = convolutions;
  if (!patch || convolutions.length !== 1) {
    throw new Failure(
      'backbone-not-vit',
      `One convolution that cuts the image into patches was looked for under the first block, and ${convolutions.length || 'none'} were found: a hybrid of convolutions and attention is no plain ViT.`,
    );
  }
  const [height, width] = kernelOf(graph, patch);
  const strides = intsAttribute(patch, 'strides') ?? [1, 1];
  if (height === undefined || height !== width || strides[0] !== height || strides[1] !== width) {
    throw new Failure(
      'backbone-not-vit',
      `The patch convolution should cut square patches side by side, but has kernel [${height}, ${width}] and strides [${strides.join(', ')}].`,
    );
  }
  return height;
}

function kernelOf(graph: Graph, convolution: NodeProto): number[] {
  const weight = graph.tensor(convolution.input[1] ?? '');
  return intsAttribute(convolution, 'kernel_shape') ?? (weight ? dimsOf(weight).slice(2) : []);
}

/** Tokens (second axis from the end) of a value in the embedding; undefined when they cannot be told. */
function countTokens(graph: Graph, value: string, patches: number, depth = 64): number | undefined {
  const tensor = graph.tensor(value);
  if (tensor) return dimsOf(tensor).at(-2) ?? 1;
  const maker = graph.producer(value);
  if (!maker || depth === 0) return undefined;
  const count = (name: string): number | undefined => countTokens(graph, name, patches, depth - 1);
  if (CONVOLUTIONS.has(maker.opType)) return patches;
  const norm = matchLayerNorm(graph, value);
  if (norm) return count(norm.input);
  if (maker.opType === 'Add') {
    const known = maker.input.map(count).filter((tokens) => tokens !== undefined);
    return known.length > 0 ? Math.max(...known) : undefined;
  }
  if (maker.opType === 'Concat') {
    const axis = intAttribute(maker, 'axis', 1);
    if (axis !== 1 && axis !== -2) return undefined;
    let total = 0;
    for (const part of maker.input) {
      const tokens = count(part);
      if (tokens === undefined) return undefined;
      total += tokens;
    }
    return total;
  }
  const [first] = graph.dataInputs(maker);
  const whole = first ? count(first) : undefined;
  // Reshape, Transpose, Expand, Cast and the like keep the number of tokens on the way up from the convolution.
  return maker.opType === 'Slice' && whole !== undefined ? sliceLength(graph, maker, whole) : whole;
}

/** Of `length` tokens those that a Slice leaves, where it is the tokens that it slices. */
function sliceLength(graph: Graph, slice: NodeProto, length: number): number | undefined {
  const [from, to, axis, step] = [1, 2, 3, 4].map((index) => foldScalar(graph, slice.input[index] ?? ''));
  if (axis !== 1 && axis !== -2) return length;
  if (from === undefined || to === undefined || (step ?? 1) !== 1) return undefined;
  const place = (index: number): number => Math.min(length, index < 0 ? length + index : index);
  return Math.max(0, place(to) - place(from));
}

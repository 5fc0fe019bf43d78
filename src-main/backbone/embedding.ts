/** What lies under the first block: image size, patches, tokens. */
import { Failure } from '../base/failure.ts';
import type { NodeProto, ValueInfoProto } from '../engine/onnx/onnx_pb.ts';
import { declaredShape, declaredType, intAttribute, intsAttribute } from './graph.ts';
import type { Graph } from './graph.ts';
import { matchLayerNorm } from './layer-norm.ts';
import { dimsOf, isFloatType } from './tensors.ts';

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
  if (!info || fed.length !== 1) {
    const names = fed.map((input) => `"${input.name}"`).join(', ') || 'none';
    throw new Failure(
      'backbone-input',
      `The model should have one input, images [N, 3, H, W], but has ${fed.length} (${names}); export the image encoder alone.`,
    );
  }
  const shape = declaredShape(info) ?? [];
  const [batch = null, channels = null, height = null, width = null] = shape;
  if (shape.length !== 4 || (typeof channels === 'number' && channels !== 3) || !isFloatType(declaredType(info))) {
    throw new Failure(
      'backbone-input',
      `The model's input "${info.name}" should be float images [N, 3, H, W], but is ${describeInput(info)}.`,
    );
  }
  return {
    name: info.name,
    dataType: declaredType(info),
    batch: typeof batch === 'number' && batch > 0 ? batch : null,
    batchSymbol: typeof batch === 'number' && batch > 0 ? null : typeof batch === 'string' && batch ? batch : 'batch',
    height: typeof height === 'number' && height > 0 ? height : null,
    width: typeof width === 'number' && width > 0 ? width : null,
  };
}

function describeInput(info: ValueInfoProto): string {
  const shape = declaredShape(info);
  const kind = isFloatType(declaredType(info)) ? 'float' : `of element type ${declaredType(info)}`;
  return shape ? `${kind} [${shape.map((dim) => dim ?? '?').join(', ')}]` : `${kind} of no declared shape`;
}

export interface Embedding {
  imageHeight: number;
  imageWidth: number;
  patchSize: number;
  tokens: number;
  /** CLS, distilled and register tokens: those that are no patch. */
  prefix: number;
}

/** Reads patch size and token counts between the image and z_0; Failure when a part of it cannot be told. */
export function readEmbedding(graph: Graph, input: ImageInput, start: string): Embedding {
  const patchSize = findPatchSize(graph, start);
  const patches =
    input.height === null || input.width === null
      ? undefined
      : Math.floor(input.height / patchSize) * Math.floor(input.width / patchSize);
  const tokens = countTokens(graph, start, patches);
  if (tokens === undefined) {
    throw new Failure(
      'backbone-not-vit',
      'The number of tokens cannot be told: neither a position embedding of fixed size nor a fixed image size was found; export the model with a fixed image size.',
    );
  }
  if (patches !== undefined) {
    if (tokens < patches) {
      throw new Failure(
        'backbone-not-vit',
        `The model has ${tokens} tokens but its ${input.height} x ${input.width} input makes ${patches} patches of ${patchSize} pixels: patches are merged, which a plain ViT does not do.`,
      );
    }
    return {
      imageHeight: input.height ?? 0,
      imageWidth: input.width ?? 0,
      patchSize,
      tokens,
      prefix: tokens - patches,
    };
  }
  // The file leaves the image size open: the position embedding then says it, for square images.
  const side = Math.floor(Math.sqrt(tokens));
  return {
    imageHeight: side * patchSize,
    imageWidth: side * patchSize,
    patchSize,
    tokens,
    prefix: tokens - side * side,
  };
}

function findPatchSize(graph: Graph, start: string): number {
  const convolutions = [...graph.nodesBehind(start)].filter((node) => node.opType === 'Conv');
  const [patch] = convolutions;
  if (!patch || convolutions.length !== 1) {
    throw new Failure(
      'backbone-not-vit',
      `One patch convolution was looked for between the image and the first block, and ${convolutions.length} were found: the model is no plain ViT.`,
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
function countTokens(graph: Graph, value: string, patches: number | undefined, depth = 64): number | undefined {
  const tensor = graph.tensor(value);
  if (tensor) return dimsOf(tensor).at(-2) ?? 1;
  const maker = graph.producer(value);
  if (!maker || depth === 0) return undefined;
  const count = (name: string): number | undefined => countTokens(graph, name, patches, depth - 1);
  if (maker.opType === 'Conv') return patches;
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
  // Reshape, Transpose, Expand, Cast and the like keep the number of tokens on the way up from the convolution.
  const [first] = graph.dataInputs(maker);
  return first ? count(first) : undefined;
}

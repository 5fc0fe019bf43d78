/** Finding the blocks of a plain pre-LN Vision Transformer in an ONNX graph, by the graph alone: names mean nothing. */
import { TensorProto_DataType as DataType } from '../engine/onnx/onnx_pb.ts';
import type { ModelProto } from '../engine/onnx/onnx_pb.ts';
import { findImageInput, readEmbedding } from './embedding.ts';
import type { ImageInput } from './embedding.ts';
import { checkResidual, explainChain, explainRandom } from './explain.ts';
import { declaredShape, Graph } from './graph.ts';
import { countHeads } from './heads.ts';
import { matchLayerNorm } from './layer-norm.ts';
import type { LayerNorm } from './layer-norm.ts';
import { hasAttention, walkResiduals } from './residual-chain.ts';
import type { ResidualChain } from './residual-chain.ts';
import { dimsOf, elementCount, isFloatType } from './tensors.ts';

const HALVES: readonly number[] = [DataType.FLOAT16, DataType.BFLOAT16];

/** What is known of a ViT from its graph. Values are named as in the file. */
export interface VitStructure {
  input: ImageInput;
  /** Pixels of the images that go in. */
  imageHeight: number;
  imageWidth: number;
  patchSize: number;
  /** Number of blocks, L. */
  blocks: number;
  /** Width d of the residual stream. */
  width: number;
  /** Tokens n of an image, prefix tokens included. */
  tokens: number;
  /** Tokens before the patches: CLS, distilled, registers. */
  prefix: number;
  /** Attention heads; null where the graph does not say. */
  heads: number | null;
  /** Number of trained floats in the file. */
  parameters: number;
  /** Value names of z_0 .. z_L, each [batch, tokens, width]. */
  states: string[];
  /** `float16` where a state may be of half precision. */
  precision: 'float32' | 'float16';
  /** Its input is z_L, or what is pooled from it. */
  finalNorm: LayerNorm;
  /** The classification output [batch, classes]; null where there is none. */
  logits: { name: string; classes: number } | null;
}

/**
 * Finds blocks, final LayerNorm and embedding of a plain pre-LN ViT. What only running the model tells for sure (the
 * number of tokens) is what the graph says; see `measureVit`.
 * @param size side of the images in pixels, for files that leave it open
 * Failure when the graph holds no such chain, saying what was looked for and what was found.
 */
export function findBlocks(model: ModelProto, { size }: { size?: number } = {}): VitStructure {
  const graph = new Graph(model);
  const input = findImageInput(graph);
  const random = explainRandom(graph);
  if (random) throw random;
  const { finalNorm, chain } = findSpine(graph);
  const width = finalNorm.scale.length;
  const embedding = readEmbedding(graph, input, chain.start, width, size);
  const states = [chain.start, ...chain.residuals.filter((_, index) => index % 2 === 1).map(({ sum }) => sum)];
  const [attention] = chain.residuals;
  return {
    input,
    ...embedding,
    blocks: states.length - 1,
    width,
    heads: attention ? countHeads(graph, attention, width) : null,
    parameters: countParameters(graph),
    states,
    precision: hasHalves(graph) ? 'float16' : 'float32',
    finalNorm,
    logits: findLogits(graph, finalNorm),
  };
}

/**
 * The LayerNorm with the longest chain of residuals under it, and that chain: heads may have LayerNorms of their own
 * above it (SigLIP's attention pooling does), and each block has two, whose chains are shorter.
 */
function findSpine(graph: Graph): { finalNorm: LayerNorm; chain: ResidualChain } {
  const norms = graph
    .liveNodes()
    .map(({ output }) => (output[0] ? matchLayerNorm(graph, output[0]) : undefined))
    .filter((norm) => norm !== undefined);
  const walked = new Set<string>();
  let best: { finalNorm: LayerNorm; chain: ResidualChain } | undefined;
  for (const finalNorm of norms.toReversed()) {
    if (walked.has(finalNorm.input)) continue;
    const chain = walkResiduals(graph, finalNorm.input);
    for (const { sum } of chain.residuals) walked.add(sum);
    if (!best || chain.residuals.length > best.chain.residuals.length) best = { finalNorm, chain };
  }
  const residuals = best?.chain.residuals ?? [];
  const below = best ? graph.nodesBehind(best.chain.start) : [];
  if (!best || residuals.length === 0 || residuals.length % 2 === 1 || hasAttention(below))
    throw explainChain(graph, norms, best?.chain);
  residuals.forEach((residual, index) => {
    checkResidual(graph, residual, index, residuals.length);
  });
  return best;
}

/** Whether any number in the model is of half precision: a state may then be, too. */
function hasHalves(graph: Graph): boolean {
  const { initializer, node } = graph.proto;
  return (
    initializer.some(({ dataType }) => HALVES.includes(dataType)) ||
    node.some(({ opType, attribute }) =>
      attribute.some(
        ({ name, i, t }) =>
          (opType === 'Cast' && name === 'to' && HALVES.includes(Number(i))) || (t && HALVES.includes(t.dataType)),
      ),
    )
  );
}

/** Scalars are numbers that the exporter wrote out (epsilons, sqrt 2), not weights. */
function countParameters(graph: Graph): number {
  const constants = graph.proto.node.flatMap(({ opType, output }) =>
    opType === 'Constant' && output[0] ? (graph.tensor(output[0]) ?? []) : [],
  );
  return [...graph.proto.initializer, ...constants]
    .filter((tensor) => isFloatType(tensor.dataType) && tensor.dims.length > 0)
    .reduce((count, tensor) => count + elementCount(dimsOf(tensor)), 0);
}

/** The output [batch, classes] that a linear layer above the final norm ends in. */
function findLogits(graph: Graph, norm: LayerNorm): VitStructure['logits'] {
  for (const output of graph.proto.output) {
    const shape = declaredShape(output);
    const classes = shape?.[1];
    if (shape?.length !== 2 || typeof classes !== 'number') continue;
    if (endsInLinear(graph, output.name) && graph.flowsInto(norm.output, output.name)) {
      return { name: output.name, classes };
    }
  }
  return null;
}

function endsInLinear(graph: Graph, value: string): boolean {
  const maker = graph.producer(value);
  if (maker?.opType === 'Gemm' || maker?.opType === 'MatMul') return true;
  if (maker?.opType === 'Cast' || maker?.opType === 'Identity') return endsInLinear(graph, maker.input[0] ?? '');
  return maker?.opType === 'Add' && maker.input.some((input) => graph.producer(input)?.opType === 'MatMul');
}

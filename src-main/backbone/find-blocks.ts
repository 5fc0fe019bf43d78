/** Finding the blocks of a plain pre-LN Vision Transformer in an ONNX graph, by the graph alone: names mean nothing. */
import { Failure } from '../base/failure.ts';
import { TensorProto_DataType as DataType } from '../engine/onnx/onnx_pb.ts';
import type { ModelProto } from '../engine/onnx/onnx_pb.ts';
import { findImageInput, readEmbedding } from './embedding.ts';
import type { ImageInput } from './embedding.ts';
import { declaredShape, Graph } from './graph.ts';
import { countHeads } from './heads.ts';
import { matchLayerNorm } from './layer-norm.ts';
import type { LayerNorm } from './layer-norm.ts';
import { branchNodes, hasAttention, readsThroughNorm, walkResiduals } from './residual-chain.ts';
import type { ResidualChain } from './residual-chain.ts';
import { dimsOf, elementCount, isFloatType } from './tensors.ts';

const HALF: number = DataType.FLOAT16;

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
  /** Element type of the states. */
  precision: 'float32' | 'float16';
  /** Its input is z_L, or what is pooled from it. */
  finalNorm: LayerNorm;
  /** The classification output [batch, classes]; null where there is none. */
  logits: { name: string; classes: number } | null;
}

/**
 * Finds blocks, final LayerNorm and embedding of a plain pre-LN ViT.
 * Failure when the graph holds no such chain, saying what was looked for and what was found.
 */
export function findBlocks(model: ModelProto): VitStructure {
  const graph = new Graph(model);
  const input = findImageInput(graph);
  const finalNorm = findFinalNorm(graph);
  const chain = walkResiduals(graph, finalNorm.input);
  checkChain(graph, chain);
  const embedding = readEmbedding(graph, input, chain.start);
  const width = finalNorm.scale.length;
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
    precision: finalNorm.dataType === HALF ? 'float16' : 'float32',
    finalNorm,
    logits: findLogits(graph, finalNorm),
  };
}

/** The last LayerNorm in graph order that an output of the model depends on. */
function findFinalNorm(graph: Graph): LayerNorm {
  const live = new Set(graph.proto.output.flatMap((output) => [...graph.nodesBehind(output.name)]));
  for (const node of graph.proto.node.toReversed()) {
    if (!live.has(node) || !node.output[0]) continue;
    const norm = matchLayerNorm(graph, node.output[0]);
    if (norm) return norm;
  }
  throw new Failure(
    'backbone-not-vit',
    'No LayerNorm was found in the model (neither a LayerNormalization node nor its parts): a plain pre-LN Vision Transformer ends with one.',
  );
}

function checkChain(graph: Graph, chain: ResidualChain): void {
  const count = chain.residuals.length;
  if (count === 0 || count % 2 === 1) {
    throw new Failure(
      'backbone-not-vit',
      `Under the last LayerNorm a chain of residual Adds was looked for, two for each block, and ${count} ${count === 1 ? 'was' : 'were'} found: the model is no plain pre-LN Vision Transformer.`,
    );
  }
  chain.residuals.forEach((residual, index) => {
    const nodes = branchNodes(graph, residual);
    const wanted = index % 2 === 0;
    const place = `block ${Math.floor(index / 2) + 1} of ${count / 2}`;
    if (hasAttention(nodes) !== wanted) {
      throw new Failure(
        'backbone-not-vit',
        `In ${place} the ${wanted ? 'first' : 'second'} residual should hold ${wanted ? 'attention (a Softmax)' : 'an MLP'} but holds ${wanted ? 'none' : 'attention'}: the model is no plain pre-LN Vision Transformer.`,
      );
    }
    if (!readsThroughNorm(graph, residual, nodes)) {
      throw new Failure(
        'backbone-not-vit',
        `In ${place} the ${wanted ? 'attention' : 'MLP'} does not start with a LayerNorm: the model is no pre-LN Vision Transformer.`,
      );
    }
  });
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

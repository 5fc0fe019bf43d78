/** Why a graph is no plain pre-LN Vision Transformer: what was looked for, what was found, what it looks like. */
import { Failure } from '../base/failure.ts';
import type { ValueInfoProto } from '../engine/onnx/onnx_pb.ts';
import { declaredShape, declaredType } from './graph.ts';
import type { Graph } from './graph.ts';
import { matchLayerNorm } from './layer-norm.ts';
import type { LayerNorm } from './layer-norm.ts';
import { branchNodes, hasAttention, isAttention, readsThroughNorm } from './residual-chain.ts';
import type { Residual, ResidualChain } from './residual-chain.ts';
import { isFloatType } from './tensors.ts';

const RANDOM: ReadonlySet<string> = new Set(['RandomUniform', 'RandomUniformLike', 'RandomNormal', 'RandomNormalLike']);

/** LayerNorm without the mean, as newer language models have it. */
const ROOT_MEAN_SQUARE: ReadonlySet<string> = new Set([
  'RMSNormalization',
  'SimplifiedLayerNormalization',
  'SkipSimplifiedLayerNormalization',
]);

const notVit = (sentence: string): Failure => new Failure('backbone-not-vit', sentence);

/** For inputs that are not one float [N, 3, H, W]. */
export function explainInputs(fed: readonly ValueInfoProto[]): Failure {
  const names = fed.map(({ name }) => `"${name}"`).join(', ');
  const wanted = 'One input, float images [N, 3, H, W], was looked for';
  const isImage = (info: ValueInfoProto): boolean => declaredShape(info)?.length === 4;
  const ofText = fed.filter((info) => declaredShape(info)?.length === 2 && !isFloatType(declaredType(info)));
  const [first] = fed;
  let found: string;
  if (fed.some(isImage) && ofText.length > 0) {
    found = `${fed.length} were found (${names}): it holds a text encoder beside the image encoder, so export the image encoder alone.`;
  } else if (ofText.length > 0) {
    found = `${fed.length} of token numbers ${fed.length === 1 ? 'was' : 'were'} found (${names}): it looks like a text model such as BERT.`;
  } else if (fed.length === 1 && first) {
    found = `"${first.name}" is ${describeInput(first)}: export the image encoder alone, for colour images.`;
  } else {
    found = `${fed.length || 'none'} were found${names ? ` (${names})` : ''}: export the image encoder alone.`;
  }
  return new Failure('backbone-input', `${wanted} in the model, but ${found}`);
}

function describeInput(info: ValueInfoProto): string {
  const shape = declaredShape(info);
  const kind = isFloatType(declaredType(info)) ? 'float' : `of element type ${declaredType(info)}`;
  return shape ? `${kind} [${shape.map((dim) => dim ?? '?').join(', ')}]` : `${kind} of no declared shape`;
}

/** The failure of a graph that draws random numbers: its features would differ from run to run. */
export function explainRandom(graph: Graph): Failure | undefined {
  const random = graph.liveNodes().find(({ opType }) => RANDOM.has(opType));
  if (!random) return undefined;
  return notVit(
    `A model that gives the same image the same features was looked for, and one with random numbers (${random.opType}) was found: it looks like a masked autoencoder, which leaves out patches by chance, so export its encoder without masking.`,
  );
}

/** For a graph whose longest chain of residuals is not two for each block; `norms` in the graph's order. */
export function explainChain(graph: Graph, norms: readonly LayerNorm[], chain: ResidualChain | undefined): Failure {
  const nodes = graph.liveNodes();
  const convolutions = nodes.filter(({ opType }) => opType === 'Conv').length;
  const attends = nodes.some(isAttention);
  const wanted = 'The chain of residual Adds of a plain pre-LN Vision Transformer was looked for';
  const [first] = norms;
  const last = norms.at(-1);
  if (!attends && convolutions > 1) {
    const kind = first ? 'ConvNeXt or another convolutional network' : 'a convolutional network such as ResNet';
    return notVit(`${wanted}, and ${convolutions} convolutions without attention were found: it looks like ${kind}.`);
  }
  if (!first || !last || !chain) {
    const rms = nodes.some(({ opType }) => ROOT_MEAN_SQUARE.has(opType));
    return notVit(
      rms
        ? 'A final LayerNorm was looked for, and only RMSNorm was found, which leaves the mean in: side-tuning needs a LayerNorm.'
        : `A final LayerNorm was looked for, as a LayerNormalization node or as its parts, and none was found among ${nodes.length} nodes: the model is no plain pre-LN Vision Transformer.`,
    );
  }
  if (first.scale.length < last.scale.length) {
    return notVit(
      `${wanted}, with one width throughout, but it looks like Swin or another pyramid: the width changes from ${first.scale.length} to ${last.scale.length} between stages.`,
    );
  }
  const { residuals } = chain;
  const [lowest] = residuals;
  if (lowest && residuals.every((each) => hasAttention(branchNodes(graph, each)))) {
    if (residuals.length > 1) return explainParallel(residuals.length);
    if (matchLayerNorm(graph, lowest.skip)) return explainPostNorm('on the sums themselves, as in BERT');
  }
  if (lowest && !readsThroughNorm(graph, lowest, branchNodes(graph, lowest)))
    return explainPostNorm('behind the sums, as in BERT');
  const endsInAttention = [lowest, residuals.at(-1)].every((each) => each && hasAttention(branchNodes(graph, each)));
  if (residuals.length % 2 === 1 && endsInAttention) {
    const block = (residuals.length + 1) / 2;
    return notVit(
      `A final LayerNorm was looked for behind the last block, and the last one found is that of the MLP in block ${block}: the model is cut short, so export it with its final norm.`,
    );
  }
  return notVit(
    `${wanted}, two for each block, and ${residuals.length || 'none'} ${residuals.length === 1 ? 'was' : 'were'} found under the ${norms.length} LayerNorms${hasAttention(graph.nodesBehind(chain.start)) ? ', with more attention below them' : ''}: the model is no plain pre-LN Vision Transformer.`,
  );
}

/** For a chain of the right length of which a residual is not what its place asks for. */
export function checkResidual(graph: Graph, residual: Residual, index: number, count: number): void {
  const nodes = branchNodes(graph, residual);
  const wantsAttention = index % 2 === 0;
  const place = `block ${Math.floor(index / 2) + 1} of ${count / 2}`;
  const part = wantsAttention ? 'attention' : 'MLP';
  if (hasAttention(nodes) !== wantsAttention) {
    if (!wantsAttention && index === 1) throw explainParallel(count);
    throw notVit(
      `In ${place} ${wantsAttention ? 'attention (a Softmax)' : 'an MLP'} was looked for in the ${wantsAttention ? 'first' : 'second'} residual, and ${wantsAttention ? 'none' : 'attention'} was found: the model is no plain pre-LN Vision Transformer.`,
    );
  }
  if (readsThroughNorm(graph, residual, nodes)) return;
  if (matchLayerNorm(graph, residual.branch)) throw explainPostNorm('behind attention and MLP, as in Swin v2');
  throw notVit(
    `In ${place} a LayerNorm was looked for in front of the ${part}, and none was found: the model is no pre-LN Vision Transformer.`,
  );
}

const explainParallel = (blocks: number): Failure =>
  notVit(
    `Attention and MLP one after the other were looked for, each with a residual Add, and ${blocks} blocks with both side by side were found: parallel blocks are not supported.`,
  );

const explainPostNorm = (where: string): Failure =>
  notVit(
    `LayerNorms in front of attention and MLP were looked for (pre-LN), and LayerNorms ${where}, were found: a post-norm model is not supported.`,
  );

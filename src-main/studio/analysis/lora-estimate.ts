/** What LoRA would hold in memory on the same ViT: from shapes alone, for a line to compare with. */

/** Shapes of a plain ViT. */
export interface VitShape {
  /** L */
  blocks: number;
  /** d */
  width: number;
  /** n, prefix tokens included */
  tokens: number;
  /** Attention heads; one for every 64 of the width where null. */
  heads: number | null;
  /** Floats in the file. */
  parameters: number;
}

/** Bytes, all of them float32. */
export interface LoraEstimate {
  /** Rank of its updates, on query and value of every block. */
  rank: number;
  /** Images in the batch that it is reckoned at. */
  batch: number;
  /** The frozen weights, which the backward pass reads too. */
  weights: number;
  /** Activations that are kept from the forward pass for the backward pass. */
  activations: number;
  /** Trained parameters, their gradients, and AdamW's two moments. */
  trained: number;
  total: number;
}

const FLOAT = 4;
/** Width of the MLP over that of the stream, in every plain ViT. */
const MLP = 4;
const HEAD_WIDTH = 64;

/**
 * LoRA (Hu et al., arXiv 2106.09685) of `rank` on the query and value projections of all blocks and a linear head of
 * `classes`, trained by AdamW in float32 without recomputing activations.
 *
 * A frozen linear layer keeps nothing, for its weights want no gradient; but gradients have to go back through every
 * block to the first, so what is kept of a block for each of batch x n tokens is
 *   d     input of the first LayerNorm (the residual stream; also where it is added to),
 *   d     its output, which the gradient of LoRA's way down needs,
 *   2 r   LoRA's narrow activations, for the gradients of its ways up,
 *   3 d   queries, keys and values,
 *   h n   the softmax of each head,
 *   d     input of the second LayerNorm,
 *   4 d   input of GELU,
 *   4     mean and deviation of both LayerNorms.
 * That is a lower bound: what a framework itself takes, copies that it makes and the gradients in flight come on top.
 * For ViT-B/16 (d 768, n 197, 12 blocks and heads) at batch 16 it gives 1.9 GB, where a PyTorch process on the CPU was
 * seen to peak at 3.9 GB.
 */
export function estimateLora(
  { blocks, width, tokens, heads, parameters }: VitShape,
  { batch, classes, rank = 8 }: { batch: number; classes: number; rank?: number },
): LoraEstimate {
  const ofHeads = (heads ?? Math.max(1, Math.round(width / HEAD_WIDTH))) * tokens;
  const keptOfToken = (1 + 1 + 3 + 1 + MLP) * width + 2 * rank + ofHeads + 4;
  const activations = FLOAT * batch * tokens * blocks * keptOfToken;
  const weights = FLOAT * parameters;
  const trainedFloats = blocks * 2 * (2 * rank * width) + (width + 1) * classes;
  const trained = FLOAT * 4 * trainedFloats;
  return { rank, batch, weights, activations, trained, total: weights + activations + trained };
}

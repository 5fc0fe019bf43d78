import type { TokenLayout } from '../methods/network.ts';

/** What one micro-batch's widest tensor may take: with its neighbours it then stays in a core's second-level cache. */
const WORKING_SET_BYTES = 1_500_000;

/**
 * Images that go through the gradient graph together: a power of two, at most an even share of the batch for each
 * thread. Too many, and every operator streams its operands through main memory (ViT-Ti, LAST: 4.6 core-ms an image at
 * 32 against 3.9 at 8); too few, and the graph's thousand nodes cost more than their arithmetic.
 */
export function defaultMicroBatch(
  { tokens, width }: TokenLayout,
  maps: number,
  batch: number,
  threads: number,
): number {
  if (maps === 0) return batch;
  const image = tokens * Math.max(tokens, width) * 4;
  const fitting = 2 ** Math.max(0, Math.floor(Math.log2(WORKING_SET_BYTES / image)));
  return Math.min(Math.ceil(batch / threads), fitting);
}

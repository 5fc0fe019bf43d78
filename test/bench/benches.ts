import { tsSide, type Side } from './measure.ts';

/** A bench: what it compares. Ratios are named pairs [other, side]: other's figure / side's, above 1 is better. */
export interface Bench {
  about: string;
  sides: Record<string, Side>;
  ratios: Record<string, readonly [other: string, side: string]>;
  repeats: number;
  /** Batch at which the C yardstick is run beside it, where it can be. */
  limitBatch?: number;
}

export const benches: Record<string, (threads: number) => Bench> = {
  matmul: (threads) => ({
    about: 'a 1024 x 1024 float32 product in onnxruntime, all threads against one',
    sides: { one_thread: tsSide('matmul.ts', [], 1), all_threads: tsSide('matmul.ts', [], threads) },
    ratios: { threads: ['one_thread', 'all_threads'] },
    repeats: 3,
  }),
};

import type { StepForm } from '../../src-main/methods/network.ts';
import { tsSide, type Side } from './measure.ts';
import type { ShapeName } from './shapes.ts';

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
  'last-step': (threads) => {
    const side = (shape: ShapeName, form: StepForm, batch = 16) =>
      tsSide('last-step.ts', ['--shape', shape, '--form', form, '--batch', String(batch)], threads);
    return {
      about: 'one optimizer step of LAST, plain and low-rank, batch 16 (and 32, to hold beside the limit)',
      sides: {
        vit_tiny_plain: side('vit_tiny', 'plain'),
        vit_tiny_low_rank: side('vit_tiny', 'low-rank'),
        vit_tiny_plain_batch32: side('vit_tiny', 'plain', 32),
        vit_b_plain: side('vit_b', 'plain'),
        vit_b_low_rank: side('vit_b', 'low-rank'),
      },
      ratios: { vit_b: ['vit_b_plain', 'vit_b_low_rank'], vit_tiny: ['vit_tiny_plain', 'vit_tiny_low_rank'] },
      repeats: 3,
      limitBatch: 32,
    };
  },
  matmul: (threads) => ({
    about: 'a 1024 x 1024 float32 product in onnxruntime, all threads against one',
    sides: { one_thread: tsSide('matmul.ts', [], 1), all_threads: tsSide('matmul.ts', [], threads) },
    ratios: { threads: ['one_thread', 'all_threads'] },
    repeats: 3,
  }),
};

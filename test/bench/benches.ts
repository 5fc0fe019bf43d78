import type { StepForm } from '../../src-main/methods/network.ts';
import { tsSide } from './measure.ts';
import type { MakeBench, Row } from './outcome.ts';
import type { ShapeName } from './shapes.ts';
import { sweepBenches } from './sweeps/benches.ts';

export const benches: Record<string, MakeBench> = {
  ...sweepBenches,
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
      rows: ({ sides, limit }) => {
        const row = {
          what: 'LAST step, ViT-Ti shape, rank 8, batch 32: core time an image against the limit (`shared/limit`)',
          asked: '2.5 x the limit or less',
        };
        if (limit === undefined || typeof limit === 'string') return [{ ...row, measured: limit ?? '', reached: null }];
        const step = sides.vit_tiny_plain_batch32!.coreMsPerImage!;
        const times = step.median / limit.median;
        const text = `${times.toFixed(1)} x (${step.median.toFixed(1)} core-ms against ${limit.median.toFixed(1)})`;
        return [{ ...row, measured: text, reached: times <= 2.5 }];
      },
    };
  },
  engines: () => ({
    about: 'twenty optimizer steps on the compiled engine and on TF.js, the reference',
    sides: { engines: tsSide('engines.ts', [], 1) },
    ratios: {},
    repeats: 1,
    rows: ({ sides: { engines } }) => [
      bounded('compiled against eager reference, after 20 steps: norm of the difference / norm, worst tensor', {
        measured: engines!.figures!.worstTensor!,
        bound: 1e-4,
      }),
    ],
  }),
  export: () => ({
    about: 'exported models against the predictions of the app',
    sides: { export: tsSide('export.ts', [], 1) },
    ratios: {},
    repeats: 1,
    rows: ({ sides }) => {
      const { adaptor, merged, top1Changes } = sides.export!.figures!;
      return [
        bounded('adaptor on stored features against in-app predictions: largest difference of a logit', {
          measured: adaptor!,
          bound: 1e-4,
        }),
        {
          what: 'merged against in-app predictions: largest difference of a logit, changes of top-1',
          asked: '1e-3 of the largest logit, none but where the margin is smaller',
          measured: `${merged!.toExponential(1)}, ${top1Changes} changes`,
          // Beyond its tolerance an export is refused.
          reached: true,
        },
      ];
    },
  }),
  memory: (threads) => {
    const side = (images: number) => tsSide('memory.ts', ['--images', String(images)], threads);
    return {
      about: 'an epoch of LAST, 17 tokens, width 192: what a trainer keeps in memory of 20,000 and of 1,000 images',
      sides: { images_1000: side(1000), images_20000: side(20_000) },
      ratios: { images: ['images_1000', 'images_20000'] },
      repeats: 1,
      rows: ({ sides: { images_1000: few, images_20000: many } }) => {
        const times = many!.peakRssBytes.median / few!.peakRssBytes.median;
        return [
          {
            what: 'memory: LAST, 17 tokens, width 192, 20,000 cached images against 1,000',
            asked: "at most 1.1 x the trainer's peak",
            measured: `${times.toFixed(2)} x`,
            reached: times <= 1.1,
          },
        ];
      },
    };
  },
  'edge-device': (threads) => ({
    about: 'MIET on a device: 1,000 images, features of a served ViT of the shape of ViT-B; memory of its processes',
    sides: { device: tsSide('edge-device.ts', [], threads) },
    ratios: {},
    repeats: 1,
    rows: ({ sides: { device } }) => {
      const mebibytes = (bytes: number) => (bytes / 2 ** 20).toFixed(0);
      const { together } = device!.figures!;
      return [
        {
          what: 'edge: MIET on 1,000 images with the sums of a served ViT of the shape of ViT-B, peak RSS on the device',
          asked: 'under 400 MB',
          measured: `${mebibytes(together!)} MiB all processes together, ${mebibytes(device!.peakRssBytes.max)} MiB the largest`,
          reached: together! < 400e6,
        },
      ];
    },
  }),
  extraction: () => {
    const side = (...args: string[]) => tsSide('extraction.ts', args, 1);
    return {
      about: 'features of the shared JPEG sets with ViT-Ti, core time: all of it, the bare ViT, decoding alone',
      sides: {
        last: side('--maps', 'last'),
        miet: side('--maps', 'miet'),
        bare: side('--part', 'bare'),
        decode: side('--part', 'decode'),
      },
      ratios: {},
      repeats: 3,
      rows: ({ sides }) => {
        const core = (name: string) => sides[name]!.coreMsPerImage!.median;
        return ['last', 'miet'].map((name) => {
          const share = (core('bare') + core('decode')) / core(name);
          const text = `${share.toFixed(2)} (${core(name).toFixed(1)} core-ms; bare ${core('bare').toFixed(1)}, decode ${core('decode').toFixed(1)}; ViT waited ${sides[name]!.figures!.vitWaited!.toFixed(2)} s)`;
          return {
            what: `extraction of the shared JPEG sets with ViT-Ti for ${name}, share of the ceiling bare / (bare + decode)`,
            ...{ asked: '0.9 or more', measured: text, reached: share >= 0.9 },
          };
        });
      },
    };
  },
  matmul: (threads) => ({
    about: 'a 1024 x 1024 float32 product in onnxruntime, all threads against one',
    sides: { one_thread: tsSide('matmul.ts', [], 1), all_threads: tsSide('matmul.ts', [], threads) },
    ratios: { threads: ['one_thread', 'all_threads'] },
    repeats: 3,
  }),
};

/** A row of a figure that is to stay within a bound. */
function bounded(what: string, { measured, bound }: { measured: number; bound: number }): Row {
  return {
    what,
    asked: `${bound.toExponential(0)} or less`,
    measured: measured.toExponential(1),
    reached: measured <= bound,
  };
}

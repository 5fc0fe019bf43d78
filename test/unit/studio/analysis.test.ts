/** The pure parts of what is found out about a run. */
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import type { Attention } from '../../../src-main/studio/analysis/attention.ts';
import { attentionSheet, dimmed } from '../../../src-main/studio/analysis/attention-sheet.ts';
import { estimateLora } from '../../../src-main/studio/analysis/lora-estimate.ts';
import { encodePng } from '../../../src-main/studio/analysis/png.ts';
import { predictedPage } from '../../../src-main/studio/analysis/predicted-images.ts';
import { MetricsCollector } from '../../../src-main/training/metrics.ts';

describe("LoRA's memory", () => {
  const vitB = { blocks: 12, width: 768, tokens: 197, heads: 12, parameters: 85_798_656 };

  it('is counted as the derivation says, on a ViT small enough to count by hand', () => {
    const { weights, activations, trained, total } = estimateLora(
      { blocks: 2, width: 4, tokens: 3, heads: 2, parameters: 100 },
      { batch: 5, classes: 7, rank: 1 },
    );
    // Of a token and block: LN input 4, its output 4, q k v 12, second LN input 4, GELU input 16, LoRA 2, softmax 2 x 3, norms 4.
    expect(activations).toBe(4 * 5 * 3 * 2 * (4 + 4 + 12 + 4 + 16 + 2 + 6 + 4));
    expect(weights).toBe(400);
    // Two blocks, query and value, a way down and a way up of 4 each; the head's 5 x 7; each with gradient and two moments.
    expect(trained).toBe(4 * 4 * (2 * 2 * 8 + 35));
    expect(total).toBe(weights + activations + trained);
  });

  it('is of the order that was measured: 3.9 GB for ViT-B/16 at batch 16, of which it is a lower bound', () => {
    const { total } = estimateLora(vitB, { batch: 16, classes: 10 });
    expect(total).toBeGreaterThan(3.9e9 / 3);
    expect(total).toBeLessThan(3.9e9);
  });

  it('grows with the batch by its activations alone', () => {
    const [few, many] = [16, 32].map((batch) => estimateLora(vitB, { batch, classes: 10 })) as [
      ReturnType<typeof estimateLora>,
      ReturnType<typeof estimateLora>,
    ];
    expect(many.total - few.total).toBe(few.activations);
    // A graph that does not say its heads has one for every 64 of its width.
    expect(estimateLora({ ...vitB, heads: null }, { batch: 16, classes: 10 })).toEqual(few);
  });
});

it('puts images into the bins of a reliability diagram, from which the calibration error follows', () => {
  const collector = new MetricsCollector(2);
  const logitsOf = (confidence: number) => [Math.log(confidence), Math.log(1 - confidence)];
  // Three with confidence 0.9, two of them right; one with 0.55, right.
  const logits = Float32Array.from([0.9, 0.9, 0.9, 0.55].flatMap(logitsOf));
  collector.add(logits, [0, 0, 1, 0]);
  const { reliability, ece } = collector.result();
  expect(reliability).toHaveLength(15);
  expect(reliability[13]).toEqual({ images: 3, confidence: expect.closeTo(0.9, 5) as number, accuracy: 2 / 3 });
  expect(reliability[8]).toEqual({ images: 1, confidence: expect.closeTo(0.55, 5) as number, accuracy: 1 });
  expect(reliability.filter(({ images }) => images > 0)).toHaveLength(2);
  expect(ece).toBeCloseTo((3 * (0.9 - 2 / 3) + (1 - 0.55)) / 4, 5);
});

describe('images by what they were taken for', () => {
  const images = [0, 0, 1, 1, 1].map((label, index) => ({ index: 10 + index, image: { path: `${index}.png`, label } }));
  const outcomes = {
    predicted: [0, 1, 0, 1, 0],
    confidence: [0.9, 0.6, 0.8, 0.7, 0.95],
    own: [0.9, 0.4, 0.2, 0.7, 0.05],
  };
  const indexes = (query: object) =>
    predictedPage(images, outcomes, { offset: 0, limit: 10, ...query }).images.map(({ index }) => index);

  it('are those of a cell, a class, or the mistakes, the most confident first', () => {
    expect(indexes({ label: 1, predicted: 0 })).toEqual([14, 12]);
    expect(indexes({ label: 0 })).toEqual([10, 11]);
    expect(indexes({ mistakes: true })).toEqual([14, 12, 11]);
    expect(indexes({})).toEqual([14, 10, 12, 13, 11]);
  });

  it('come a page at a time', () => {
    const page = predictedPage(images, outcomes, { mistakes: true, offset: 1, limit: 1 });
    expect(page).toEqual({
      total: 3,
      images: [{ index: 12, path: '2.png', label: 1, predicted: 0, confidence: 0.8, own: 0.2 }],
    });
  });
});

describe('attention as a picture', () => {
  const seen = { width: 4, height: 2, rgb: new Uint8Array(24).fill(200) };
  const grid = { rows: 1, columns: 2 };

  it('is light where the most attention is and dim where there is none', () => {
    const lit = dimmed(seen, grid, [0.5, 0]);
    const pixels = Array.from({ length: 8 }, (_, pixel) => lit[3 * pixel]);
    expect(pixels).toEqual([200, 200, 30, 30, 200, 200, 30, 30]);
  });

  it('is a PNG that others read: the picture, rollout, then each module', async () => {
    const shares = { prefix: 0, patches: [0.5, 0.5] };
    const modules = [{ ...shares, module: 0, map: 'S_1', block: 1, increment: 1 }];
    const attention: Attention = {
      ...{ run: 'run', image: 'a.png', pool: 'mean', grid, modules, rollout: shares, probabilities: [1] },
    };
    const sheet = attentionSheet(attention, seen);
    expect([sheet.width, sheet.height]).toEqual([3 * 4 + 2 * 4, 2]);
    const { data, info } = await sharp(encodePng(sheet.rgb, sheet.width, sheet.height))
      .raw()
      .toBuffer({ resolveWithObject: true });
    expect([info.width, info.height, info.channels]).toEqual([20, 2, 3]);
    expect([...data]).toEqual([...sheet.rgb]);
  });
});

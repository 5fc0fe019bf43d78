import { z } from 'zod';

/** Images whose confidence lies in one bin of a reliability diagram; both fractions are 0 where there are none. */
export const reliabilityBinSchema = z.object({
  images: z.int(),
  /** Mean confidence of the images. */
  confidence: z.number(),
  /** Share of them that were right. */
  accuracy: z.number(),
});
export type ReliabilityBin = z.infer<typeof reliabilityBinSchema>;

/** What a classifier got right on a list of images. Fractions 0 to 1. */
export interface Metrics {
  /** Share of images whose most probable class is theirs. */
  top1: number;
  /** Mean of the classes' recalls, over classes that have images. */
  macro: number;
  /** Mean cross-entropy, natural logarithm. */
  loss: number;
  /** Expected calibration error (Guo et al., arXiv 1706.04599), 15 bins of equal width. */
  ece: number;
  /** Those bins, from confidence 0 to 1. */
  reliability: ReliabilityBin[];
  /** [true class][predicted class], counts. */
  confusion: number[][];
}

const BINS = 15;

/** Collects logits batch by batch; nothing is kept but counts. */
export class MetricsCollector {
  private readonly confusion: number[][];
  private readonly bins = Array.from({ length: BINS }, () => ({ count: 0, correct: 0, confidence: 0 }));
  private images = 0;
  private loss = 0;

  constructor(private readonly classes: number) {
    this.confusion = Array.from({ length: classes }, () => new Array<number>(classes).fill(0));
  }

  /** @param logits [labels.length or more, classes] */
  add(logits: Float32Array, labels: ArrayLike<number>): void {
    for (let image = 0; image < labels.length; image++) {
      const row = logits.subarray(image * this.classes, (image + 1) * this.classes);
      const label = labels[image]!;
      const predicted = argMax(row);
      const logTotal = logSumExp(row);
      this.loss += logTotal - row[label]!;
      this.confusion[label]![predicted]!++;
      this.images++;
      const confidence = Math.exp(row[predicted]! - logTotal);
      // A network that has diverged has no confidence; its loss tells.
      const bin = this.bins[Math.min(BINS - 1, Math.floor((confidence || 0) * BINS))]!;
      bin.count++;
      bin.confidence += confidence;
      if (predicted === label) bin.correct++;
    }
  }

  result(): Metrics {
    const correct = this.confusion.reduce((sum, row, label) => sum + row[label]!, 0);
    const recalls = this.confusion.flatMap((row, label) => {
      const images = row.reduce((sum, count) => sum + count, 0);
      return images > 0 ? [row[label]! / images] : [];
    });
    return {
      top1: correct / this.images,
      macro: recalls.reduce((sum, recall) => sum + recall, 0) / recalls.length,
      loss: this.loss / this.images,
      ece: this.bins.reduce((sum, bin) => sum + Math.abs(bin.correct - bin.confidence), 0) / this.images,
      reliability: this.bins.map(({ count: images, correct, confidence }) => ({
        images,
        confidence: images > 0 ? confidence / images : 0,
        accuracy: images > 0 ? correct / images : 0,
      })),
      confusion: this.confusion,
    };
  }
}

/** Index of the largest value, the first of equals. */
export function argMax(values: ArrayLike<number>): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i]! > values[best]!) best = i;
  return best;
}

function logSumExp(values: Float32Array): number {
  const largest = Math.max(...values);
  let total = 0;
  for (const value of values) total += Math.exp(value - largest);
  return largest + Math.log(total);
}

export function softmax(logits: Float32Array): Float32Array {
  const logTotal = logSumExp(logits);
  return logits.map((logit) => Math.exp(logit - logTotal));
}

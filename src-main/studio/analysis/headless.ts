/** Analyses for whoever has no window: in names instead of places, and as files. */
import { extname, resolve } from 'node:path';
import type { TaskOptions } from '../../base/progress.ts';
import { Failure } from '../../base/failure.ts';
import type { SplitName } from '../../data/dataset.ts';
import { startDecoder } from '../../data/decode/start-decoder.ts';
import { argMax } from '../../training/metrics.ts';
import { openRun } from '../../training/open-run.ts';
import { writeFileAtomic } from '../../workspace/atomic.ts';
import type { Workspace } from '../../workspace/workspace.ts';
import { evaluate } from '../evaluate.ts';
import { checkOutputFile } from '../output-file.ts';
import { usualThreads } from '../preferences.ts';
import { attentionSheet } from './attention-sheet.ts';
import { AttentionViewer, type Attention } from './attention.ts';
import { encodePng } from './png.ts';
import { RunAnalysis } from './run-analysis.ts';

/** Labels are class names, probabilities 0 to 1. */
export interface Mistake {
  path: string;
  label: string;
  predicted: string;
  confidence: number;
  /** Probability of the image's own class. */
  own: number;
}

export interface Mistakes {
  run: string;
  split: SplitName;
  /** Of the split. */
  images: number;
  /** All of them. */
  total: number;
  /** The most confident first. */
  mistakes: Mistake[];
}

/** The images that a run got most wrong; it is evaluated first where it has not been. @throws Failure as `evaluate` */
export async function worstMistakes(
  workspace: Workspace,
  { run, split, limit }: { run: string; split?: SplitName; limit: number },
  options: TaskOptions = {},
): Promise<Mistakes> {
  const analysis = new RunAnalysis(workspace);
  const kept = await analysis.evaluation(run, split);
  const evaluation = kept?.pictures ? kept.evaluation : await evaluate(workspace, { run, split }, options);
  const query = { split: evaluation.split, mistakes: true, offset: 0, limit };
  const { total, images } = await analysis.predicted(run, query);
  const nameOf = (label: number): string => evaluation.perClass[label]!.class;
  return {
    run: evaluation.run,
    split: evaluation.split,
    images: evaluation.images,
    total,
    mistakes: images.map(({ path, label, predicted, confidence, own }) => ({
      ...{ path, label: nameOf(label), predicted: nameOf(predicted), confidence, own },
    })),
  };
}

export interface FileAttention extends Omit<Attention, 'probabilities'> {
  label: string;
  probability: number;
  /** Absolute path of the picture of it, where one was asked for. */
  out?: string;
}

/**
 * What a run's side network looks at in an image file, and as a PNG at `out`.
 * @throws Failure `usage` for another ending than .png, `bad-out`, `image`, and those of `openRun` and `AttentionViewer.open`
 */
export async function attentionOfFile(
  workspace: Workspace,
  { run, image, out }: { run: string; image: string; out?: string },
): Promise<FileAttention> {
  const file = out === undefined ? undefined : await checkPngPath(out);
  const opened = await openRun(workspace, run);
  const viewer = await AttentionViewer.open(opened, await usualThreads(workspace));
  try {
    const decoder = await startDecoder();
    try {
      const { attention, seen } = await viewer.look(decoder, { path: resolve(image) });
      const { probabilities, ...looked } = attention;
      const sheet = attentionSheet(attention, seen);
      if (file !== undefined) await writeFileAtomic(file, encodePng(sheet.rgb, sheet.width, sheet.height));
      const best = argMax(probabilities);
      return {
        ...looked,
        label: opened.config.classes[best]!,
        probability: probabilities[best]!,
        ...(file === undefined ? {} : { out: file }),
      };
    } finally {
      await decoder.close();
    }
  } finally {
    await viewer.close();
  }
}

async function checkPngPath(path: string): Promise<string> {
  if (extname(path).toLowerCase() !== '.png')
    throw new Failure('usage', `"${path}" has to end in .png: that is what is written.`);
  return checkOutputFile(path);
}

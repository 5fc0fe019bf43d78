import { availableParallelism } from 'node:os';
import { Failure } from '../base/failure.ts';
import type { TaskOptions } from '../base/progress.ts';
import { imagesOf, splitNames, type SplitName } from '../data/dataset.ts';
import { loadDataset } from '../data/dataset-store.ts';
import { openEngine } from '../engine/open-engine.ts';
import { extractFeatures } from '../features/extract.ts';
import { Evaluator } from '../training/evaluate-network.ts';
import { openRun } from '../training/open-run.ts';
import type { Workspace } from '../workspace/workspace.ts';

export interface EvaluateRequest {
  run: string;
  /** Test where there is one, else val, when left out. */
  split?: SplitName;
  threads?: number;
}

export interface ClassScore {
  class: string;
  images: number;
  precision: number;
  recall: number;
  f1: number;
}

/** Fractions 0 to 1; `confusion[i][j]` images of class i were taken for class j. */
export interface Evaluation {
  run: string;
  split: SplitName;
  images: number;
  top1: number;
  macro: number;
  loss: number;
  ece: number;
  perClass: ClassScore[];
  confusion: number[][];
}

/** Images in a batch of an evaluation. */
const BATCH = 8;

/** Evaluates a run's best parameters on a split of its dataset. @throws Failure */
export async function evaluate(
  workspace: Workspace,
  { run: named, split, threads = availableParallelism() }: EvaluateRequest,
  options: TaskOptions = {},
): Promise<Evaluation> {
  const { config, backbone, frozen, network, layout, parameters } = await openRun(workspace, named);
  const { run } = config;
  const dataset = await loadDataset(workspace, config.dataset);
  if (JSON.stringify(dataset.classes) !== JSON.stringify(config.classes))
    throw new Failure(
      'dataset-changed',
      `The classes of dataset ${dataset.name} are no longer those that run ${run} was trained on: train again.`,
    );
  const chosen = split ?? (imagesOf(dataset, 'test').length > 0 ? 'test' : 'val');
  const images = imagesOf(dataset, chosen);
  if (images.length === 0) {
    const there = splitNames.filter((name) => imagesOf(dataset, name).length > 0);
    throw new Failure('no-split', `Dataset ${dataset.name} has no ${chosen} split: it has ${there.join(', ')}.`);
  }
  const { sets } = await extractFeatures(
    workspace,
    { backbone, source: dataset.source, lists: [images], maps: network.maps, storage: config.settings.cache, threads },
    options,
  );
  const engine = await openEngine('compiled', threads);
  const evaluator = await Evaluator.open(
    engine,
    { features: sets[0]!, labels: images.map(({ label }) => label) },
    { network, parameters: layout, layout: frozen.layout, pool: config.settings.pool, form: 'plain', batch: BATCH },
  );
  try {
    const { top1, macro, loss, ece, confusion } = await evaluator.metrics(parameters, options.signal);
    return {
      run,
      split: chosen,
      images: images.length,
      top1,
      macro,
      loss,
      ece,
      perClass: classScores(confusion, config.classes),
      confusion,
    };
  } finally {
    await evaluator.close();
  }
}

/** Precision, recall and F1 of each class; 0 where there is nothing to divide by, as scikit-learn does. */
export function classScores(confusion: readonly (readonly number[])[], classes: readonly string[]): ClassScore[] {
  return classes.map((name, index) => {
    const hits = confusion[index]![index]!;
    const images = confusion[index]!.reduce((sum, count) => sum + count, 0);
    const predicted = confusion.reduce((sum, row) => sum + row[index]!, 0);
    const precision = predicted > 0 ? hits / predicted : 0;
    const recall = images > 0 ? hits / images : 0;
    const f1 = precision + recall > 0 ? (2 * precision * recall) / (precision + recall) : 0;
    return { class: name, images, precision, recall, f1 };
  });
}

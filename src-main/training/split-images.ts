import { Failure } from '../base/failure.ts';
import { imagesOf, type Dataset, type DatasetImage, type SplitName } from '../data/dataset.ts';
import { stratifiedSubset } from '../data/limit.ts';
import type { Settings } from './settings.ts';

/** The images that a run reads, by split and in the dataset's order: under these lists their features are cached. */
export type SplitImages = Record<SplitName, DatasetImage[]>;

/** What a run learns from: a winner that was chosen on val may be trained again on both. */
export const TRAIN_ON = ['train', 'train+val'] as const;
export type TrainOn = (typeof TRAIN_ON)[number];

/**
 * @param noTest leaves the test split unread
 * @throws Failure `dataset` where there is nothing to train on, `usage` for a limit below the number of classes
 */
export function splitImages(
  dataset: Dataset,
  { limit, seed }: Pick<Settings, 'limit' | 'seed'>,
  { noTest = false, trainOn = 'train' }: { noTest?: boolean; trainOn?: TrainOn } = {},
): SplitImages {
  const all = imagesOf(dataset, 'train');
  if (all.length === 0) throw new Failure('dataset', `Dataset ${dataset.name} has no training images.`);
  const classes = new Set(all.map(({ label }) => label)).size;
  if (limit !== null && limit < classes)
    throw new Failure(
      'usage',
      `A limit of ${limit} leaves some of the ${classes} classes of dataset ${dataset.name} without an image to train on: allow at least ${classes}.`,
    );
  const train = limit === null ? all : stratifiedSubset(all, limit, seed);
  const val = imagesOf(dataset, 'val');
  return {
    train: trainOn === 'train' ? train : [...train, ...val],
    val: trainOn === 'train' ? val : [],
    test: noTest ? [] : imagesOf(dataset, 'test'),
  };
}

import type { DatasetImage } from '../../data/dataset.ts';
import type { Outcomes } from './evaluation.ts';

export interface PredictedQuery {
  /** Index of the images' own class. */
  label?: number | undefined;
  /** Index of the class that they were taken for. */
  predicted?: number | undefined;
  /** Only those that were taken for another class. */
  mistakes?: boolean | undefined;
  offset: number;
  limit: number;
}

/** An image of an evaluated split; probabilities 0 to 1. */
export interface PredictedImage {
  /** Place in the dataset: what its picture is asked for by. */
  index: number;
  path: string;
  label: number;
  predicted: number;
  /** Probability of the class that was predicted. */
  confidence: number;
  /** Probability of the image's own class. */
  own: number;
}

export interface PredictedPage {
  /** Of all that fit the query. */
  total: number;
  images: PredictedImage[];
}

/**
 * Images that fit a query, a page of them, those with the highest confidence first: of mistakes, the worst.
 * @param images those of the split in the dataset's order, with their places in it
 */
export function predictedPage(
  images: readonly { index: number; image: Pick<DatasetImage, 'path' | 'label'> }[],
  { predicted, confidence, own }: Outcomes,
  query: PredictedQuery,
): PredictedPage {
  const fitting = images.flatMap(({ index, image: { path, label } }, place): PredictedImage[] => {
    const taken = predicted[place]!;
    if (query.label !== undefined && label !== query.label) return [];
    if (query.predicted !== undefined && taken !== query.predicted) return [];
    if (query.mistakes && taken === label) return [];
    return [{ index, path, label, predicted: taken, confidence: confidence[place]!, own: own[place]! }];
  });
  // The sort is stable: equal ones stay in the dataset's order.
  fitting.sort((a, b) => b.confidence - a.confidence);
  return { total: fitting.length, images: fitting.slice(query.offset, query.offset + query.limit) };
}

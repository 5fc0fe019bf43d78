import type { Dataset, SplitName } from '../data/dataset.ts';

export interface ImageQuery {
  split?: SplitName | undefined;
  /** Index of a class. */
  label?: number | undefined;
  /** Part of the path, whatever the case. */
  search?: string | undefined;
  offset: number;
  limit: number;
}

export interface ListedImage {
  /** Place in the dataset: what its picture is asked for by. */
  index: number;
  path: string;
  label: number;
  split: SplitName;
}

export interface ImagePage {
  /** Of all that fit the query. */
  total: number;
  images: ListedImage[];
}

/** The images of a dataset that fit a query, a page of them, in the dataset's order. */
export function imagePage({ images }: Dataset, query: ImageQuery): ImagePage {
  const sought = query.search?.toLowerCase();
  const fitting: ListedImage[] = [];
  images.forEach(({ path, label, split }, index) => {
    if (query.split !== undefined && split !== query.split) return;
    if (query.label !== undefined && label !== query.label) return;
    if (sought && !path.toLowerCase().includes(sought)) return;
    fitting.push({ index, path, label, split });
  });
  return { total: fitting.length, images: fitting.slice(query.offset, query.offset + query.limit) };
}

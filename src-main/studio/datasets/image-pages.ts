import type { Dataset, SplitName } from '../../data/dataset.ts';

/** Which images of a dataset are meant. */
export interface ImageFilter {
  split?: SplitName | undefined;
  /** Index of a class. */
  label?: number | undefined;
  /** Part of the path, whatever the case. */
  search?: string | undefined;
  /** A kind of problem that they have part in. */
  problem?: string | undefined;
  /** Only those that are excluded; without it, only those that are not. */
  excluded?: boolean | undefined;
}

export interface ImageQuery extends ImageFilter {
  offset: number;
  limit: number;
}

export interface ListedImage {
  /** Place in the dataset: what its picture is asked for by. */
  index: number;
  path: string;
  label: number;
  split: SplitName;
  excluded?: true;
  /** Kinds of the problems that it has part in. */
  problems?: string[];
}

export interface ImagePage {
  /** Of all that fit the query. */
  total: number;
  images: ListedImage[];
}

/** The images of a dataset that fit a query, a page of them, in the dataset's order. */
export function imagePage(dataset: Dataset, { offset, limit, ...filter }: ImageQuery): ImagePage {
  const places = placesThatFit(dataset, filter);
  const kinds = problemKinds(dataset);
  const images = places.slice(offset, offset + limit).map((index): ListedImage => {
    const { path, label, split, excluded } = dataset.images[index]!;
    const problems = kinds.get(index);
    return { index, path, label, split, ...(excluded ? { excluded } : {}), ...(problems ? { problems } : {}) };
  });
  return { total: places.length, images };
}

/** The places of all images of a dataset that fit, in order. */
export function placesThatFit(dataset: Dataset, filter: ImageFilter): number[] {
  const { split, label, problem, excluded = false } = filter;
  const sought = filter.search?.toLowerCase();
  const kinds = problem === undefined ? undefined : problemKinds(dataset);
  const fitting: number[] = [];
  dataset.images.forEach((image, place) => {
    if ((image.excluded ?? false) !== excluded) return;
    if (split !== undefined && image.split !== split) return;
    if (label !== undefined && image.label !== label) return;
    if (problem !== undefined && !kinds!.get(place)?.includes(problem)) return;
    if (sought && !image.path.toLowerCase().includes(sought)) return;
    fitting.push(place);
  });
  return fitting;
}

/** By dataset as it was loaded: it is looked at page by page. */
const found = new WeakMap<Dataset, Map<number, string[]>>();

function problemKinds(dataset: Dataset): ReadonlyMap<number, string[]> {
  const known = found.get(dataset);
  if (known) return known;
  const kinds = new Map<number, string[]>();
  for (const { kind, images = [] } of dataset.problems)
    for (const place of images) {
      const own = kinds.get(place);
      if (own) own.push(kind);
      else kinds.set(place, [kind]);
    }
  found.set(dataset, kinds);
  return kinds;
}

/** Words of the pages of datasets. */
export const datasets = {
  title: 'Datasets',
  add: 'Add a folder',
  empty: 'No images yet',
  emptyLead:
    'Add a folder with one folder a class in it, with or without train, val and test above them. Lists as in VTAB-1K, CSV, parquet and IDX files are understood too. Your files are only read.',
  images: 'images',
  classes: 'classes',
  problems: (count: number) => (count === 1 ? '1 problem' : `${count} problems`),
  noProblems: 'No problems found',
  split: 'Split',
  all: 'All',
  searchPlaceholder: 'Part of a file name',
  search: 'Search',
  anyClass: 'Any class',
  className: 'Class',
  shown: (count: string) => `${count} images`,
  balance: 'Images in each class',
  remove: 'Remove dataset',
  removeAsk: (name: string) => `Forget ${name}? Your files stay as they are.`,
  train: 'Train on it',
} as const;

/** Words of the pages of datasets. */
import type { EditSummary } from '../../src-main/studio/datasets/dataset-edits.ts';
import type { Fix } from '../../src-main/studio/datasets/dataset-problems.ts';

const images = (count: number | string) => (String(count) === '1' ? '1 image' : `${count} images`);

/** An edit as a phrase that stands for itself: in the history, in a toast. */
function edit(one: EditSummary): string {
  const what = 'images' in one ? (one.images === 1 ? one.first : images(one.images)) : '';
  switch (one.kind) {
    case 'rename-class':
      return `Renamed ${one.class} to ${one.to}`;
    case 'merge-classes':
      return `Merged ${one.classes.join(', ')} into ${one.into}`;
    case 'move-to-class':
      return `Moved ${what} to the class ${one.class}`;
    case 'move-to-split':
      return `Moved ${what} to ${one.split}`;
    case 'exclude':
      return `Excluded ${what}`;
    case 'include':
      return `Included ${what}`;
    case 'add-picture':
      return `Added a picture of ${one.class}`;
    case 'split':
      return `Dealt the splits anew: val ${one.val}${one.test === null ? '' : `, test ${one.test}`}, seed ${one.seed}`;
  }
}

function fix(one: Fix): string {
  switch (one.kind) {
    case 'keep-one':
      return 'Keep one, exclude the copies';
    case 'keep-split':
      return `Keep it in ${one.split}, exclude the others`;
    case 'keep-class':
      return `It is ${one.class}: exclude the others`;
    case 'exclude-all':
      return 'Exclude';
    case 'train-on':
      return 'Move to train';
  }
}

/** Kinds of problems: what they are called, and what they do. */
const kinds: Record<string, [name: string, why: string]> = {
  'bad-image': ['Cannot be read', 'Left out. Mend or remove the files, then look again.'],
  'missing-file': ['Missing files', 'A list names them and they are not there. They are left out.'],
  leak: ['Same picture in two splits', 'Results on val or test look better than they are.'],
  conflict: ['Same picture in two classes', 'One of them is wrong, and teaches the wrong thing.'],
  duplicate: ['Same picture twice', 'It counts twice in training and results.'],
  'single-image': ['Class with one image', 'Hardly anything can be learnt of it.'],
  'empty-class': ['Class without images', 'A list names it, and no image is of it.'],
  'untrained-class': ['Class without training images', 'It cannot be learnt: its images are all in val or test.'],
};

export const datasets = {
  title: 'Datasets',
  add: 'Add a folder',
  addFile: 'Add a file',
  copy: 'Copy the images into the workspace',
  copyWhy: 'Then the originals may go. Otherwise they are used where they are.',
  sample: 'Open the sample',
  empty: 'No images yet',
  emptyLead:
    'Drop a folder here, or add one: with one folder a class in it, with or without train, val and test above them. Lists as in VTAB-1K, CSV, parquet and IDX files are understood too. Your files are only read.',
  drop: 'Drop to add these images',
  dropWhy: 'A folder with one folder a class, or a parquet file.',
  dropUploads: 'A browser tells no paths, so they are copied into the workspace.',
  dropOne: 'Drop one folder that holds the folders of the classes, or one file.',
  dropNothing: 'There are no files in what was dropped.',
  reading: 'Looking through the folder',
  uploading: (name: string) => `Copying ${name}`,
  uploadFailed: 'The copy was cut off: drop the folder again.',
  stopUpload: 'Stop copying',
  images: 'images',
  classes: 'classes',
  problems: (count: number | string) => (String(count) === '1' ? '1 problem' : `${count} problems`),
  noProblems: 'No problems found',
  split: 'Split',
  all: 'All',
  searchPlaceholder: 'Part of a file name',
  search: 'Search',
  anyClass: 'Any class',
  className: 'Class',
  anyProblem: 'With or without problems',
  problem: 'Problem',
  excluded: (count: string) => `excluded ${count}`,
  shown: (count: string) => images(count),
  none: 'No image is like that.',
  clearFilters: 'Show all images',
  balance: 'Images in each class',
  balanceMore: (count: number) => `Show all ${count} classes`,
  balanceLess: 'Show fewer',
  remove: 'Remove dataset',
  removeAsk: (name: string) => `Forget ${name}? Your files stay as they are.`,
  train: 'Train on it',
  lookAgain: 'Look again',
  lookAgainWhy: 'Reads what has changed in the folder since; edits stay.',
  copied: (folder: string) => `copied to ${folder}`,
  lessProblems: 'Show fewer',
  moreProblems: (count: string) => `Show ${count} more`,
  kinds,
  fix,
  fixAll: (count: string) => `Mend all ${count}`,
  pictureOf: (className: string, split: string) => `${className}, ${split}`,
  edit,
  undoEdit: (what: string) => `Undo: ${what}`,
  redoEdit: (what: string) => `Redo: ${what}`,
  nothingToUndo: 'Nothing to undo',
  nothingToRedo: 'Nothing to redo',
  undone: (what: string) => `Taken back: ${what}`,
  redone: (what: string) => `Done again: ${what}`,
  history: 'Edits',
  historyEmpty: 'Nothing was changed yet. What you change here never touches your files, and can be taken back.',
  historyUndone: 'undone',
  historyImages: images,
  selected: (count: string) => `${count} selected`,
  selectAll: 'Select all',
  clear: 'Clear',
  exclude: 'Exclude',
  include: 'Include',
  moveToClass: 'Move to class',
  moveToSplit: 'Move to',
  move: 'Move',
  keys: 'Arrows move, Shift extends, Space selects, Ctrl+A selects all, Enter shows, Delete excludes.',
  grid: 'Images',
  gridOf: 'Images of the dataset',
  previous: 'Previous',
  next: 'Next',
  path: 'Path',
  row: 'Row',
  size: 'Size',
  hash: 'SHA-256',
  same: (count: number) => (count === 1 ? '1 other image is the same' : `${count} other images are the same`),
  state: 'State',
  isExcluded: 'excluded',
  isUsed: 'in use',
  splits: 'Splits',
  splitsLead: 'Deals the images anew, class by class, so that every class has its share. Excluded images are left out.',
  valShare: 'Part for val, in %',
  testKeep: 'Leave the test images where they are',
  testShare: 'Part for test, in %',
  seed: 'Seed',
  deal: 'Deal anew',
  editClasses: 'Classes',
  rename: 'Rename',
  renameTo: 'Rename to',
  merge: 'Merge',
  mergeInto: 'Merge into',
  classesLead: 'Tick a class to rename it, or several to merge them. Runs that were trained before keep the old names.',
} as const;

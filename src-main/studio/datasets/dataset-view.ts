/** A dataset as it is looked at: its balance, its problems, its edits, and one image in full. */
import { createHash } from 'node:crypto';
import { exists } from '../../base/exists.ts';
import { Failure } from '../../base/failure.ts';
import { classOf, datasetSummary, locate, pathOf, type Dataset, type SplitName } from '../../data/dataset.ts';
import { loadDataset } from '../../data/dataset-store.ts';
import type { Workspace } from '../../workspace/workspace.ts';
import { listEdits, type ListedEdit } from './dataset-edits.ts';
import { showProblems, type ShownProblems } from './dataset-problems.ts';
import { shownOf, type ShownDataset } from './datasets.ts';

export interface DatasetView extends Omit<ShownDataset, 'problems'>, ShownProblems {
  /** Classes whose images are all excluded: their labels go on after those of `classes`. */
  gone: string[];
  /** Images of each class in each split. */
  balance: Record<SplitName, number[]>;
  /** Changes when another import gives places to other images. */
  stamp: string;
  /** Whether what was imported is still there to be looked at again. */
  isThere: boolean;
  edits: ListedEdit[];
}

/** @throws Failure `no-dataset`, `damaged-file` */
export async function viewDataset(workspace: Workspace, dataset: Dataset): Promise<DatasetView> {
  const { name, gone = [] } = dataset;
  return {
    ...datasetSummary(dataset),
    ...shownOf(dataset),
    ...showProblems(dataset),
    gone,
    balance: balanceOf(dataset),
    stamp: stampOf(dataset),
    isThere: await exists(pathOf(dataset)),
    edits: await listEdits(workspace, name),
  };
}

/** @throws Failure `dataset-changed` where places do not mean what they meant when somebody looked at them */
export async function checkStamp(workspace: Workspace, name: string, stamp: string): Promise<void> {
  if (stampOf(await loadDataset(workspace, name)) !== stamp)
    throw new Failure(
      'dataset-changed',
      `The dataset ${name} was imported again meanwhile: look at it again, and repeat this.`,
    );
}

/** Of what lies at each place; edits change nothing about that. */
function stampOf({ images }: Dataset): string {
  const hash = createHash('sha256');
  for (const { path, entry, sha256 } of images) hash.update(`${path}\n${entry ?? ''} ${sha256}\n`);
  return hash.digest('hex').slice(0, 16);
}

function balanceOf({ classes, images }: Dataset): DatasetView['balance'] {
  const balance = { train: classes.map(() => 0), val: classes.map(() => 0), test: classes.map(() => 0) };
  for (const { label, split, excluded } of images) if (!excluded) balance[split][label]!++;
  return balance;
}

export interface ImageDetails {
  index: number;
  /** Absolute. */
  path: string;
  /** In a packed file. */
  entry: number | null;
  bytes: number;
  sha256: string;
  class: string;
  split: SplitName;
  excluded: boolean;
  /** Places of the other images with the same content. */
  same: number[];
}

/** @throws Failure `no-image` */
export function imageDetails(dataset: Dataset, index: number): ImageDetails {
  const image = dataset.images[index];
  if (!image) throw new Failure('no-image', `Dataset ${dataset.name} has no image ${index}.`);
  const { label, split, bytes, sha256, entry = null, excluded = false } = image;
  const same = dataset.images.flatMap((other, place) => (other.sha256 === sha256 && place !== index ? [place] : []));
  const { path } = locate(dataset, image);
  return { index, path, entry, bytes, sha256, class: classOf(dataset, label), split, excluded, same };
}

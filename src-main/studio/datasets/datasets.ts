/** What a user can ask about datasets. */
import { resolve } from 'node:path';
import { exists } from '../../base/exists.ts';
import { Failure } from '../../base/failure.ts';
import type { TaskOptions } from '../../base/progress.ts';
import type { Dataset, DatasetFormat, DatasetSummary } from '../../data/dataset.ts';
import { contentHash, datasetSummary, imagesOf, pathOf, splitNames } from '../../data/dataset.ts';
import * as store from '../../data/dataset-store.ts';
import { LateDecoder } from '../../data/decode/late-decoder.ts';
import { importDataset, knownEntry } from '../../data/import.ts';
import type { ImportSettings } from '../../data/import.ts';
import { listSweepConfigs } from '../../sweep/find-sweep.ts';
import { sweepFile } from '../../sweep/sweep-folder.ts';
import { listRuns } from '../../training/run-folder.ts';
import { isHeld } from '../../workspace/lock.ts';
import { isSafeName } from '../../workspace/names.ts';
import type { Workspace } from '../../workspace/workspace.ts';
import { editInWords, listEdits } from './dataset-edits.ts';

export interface AddDatasetRequest {
  path: string;
  /** The folder's name when left out. */
  name?: string;
  format?: DatasetFormat | 'auto';
  /** Whether the images are copied into the workspace. */
  copy?: boolean;
}

/** A dataset, and under which other names the same folder or file is in the workspace. */
export type AddedDataset = DatasetSummary & {
  sameAs?: string[];
  /** Whether features of one of those serve for it too. */
  sharesFeatures?: boolean;
};

/** Imports a folder of labelled images, by reference or as a copy. Failures of `importDataset`. */
export async function addDataset(
  workspace: Workspace,
  { path, ...settings }: AddDatasetRequest,
  options: TaskOptions = {},
): Promise<AddedDataset> {
  await store.sweepDatasets(workspace);
  const dataset = await importFrom(workspace, path, settings, options);
  await tellLostEdits(workspace, dataset, options);
  const sameAs = await store.datasetsOf(workspace, pathOf(dataset), dataset.name);
  if (sameAs.length === 0) return datasetSummary(dataset);
  const others = await Promise.all(sameAs.map((name) => store.loadDataset(workspace, name).catch(() => undefined)));
  const sharesFeatures = others.some((other) => other !== undefined && haveEqualLists(dataset, other));
  return { ...datasetSummary(dataset), sameAs, sharesFeatures };
}

/** Whether a split of one has the pictures of a split of the other in the same order: under that features are kept. */
function haveEqualLists(one: Dataset, other: Dataset): boolean {
  return splitNames.some((split) => {
    const images = imagesOf(one, split);
    return images.length > 0 && contentHash(images) === contentHash(imagesOf(other, split));
  });
}

/** Says what edits no longer apply to: files that were moved, or hold another picture by now. */
async function tellLostEdits(workspace: Workspace, { name, edits }: Dataset, { onRemark }: TaskOptions): Promise<void> {
  if (!edits || !onRemark) return;
  for (const { edit, lost } of await listEdits(workspace, name))
    if (lost !== null) onRemark(`The edit "${editInWords(edit)}" of ${name} applies in part or not at all: ${lost}`);
}

export async function listDatasets(workspace: Workspace): Promise<DatasetSummary[]> {
  return store.listDatasets(workspace);
}

export interface ShownDataset extends DatasetSummary {
  /** What was imported, a folder or a file. */
  source: string;
  format: DatasetFormat;
  /** The folder in the workspace that has copies of the images, if they were copied. */
  copy?: string;
}

/** A dataset with where it lies and how it is laid out. @throws Failure `no-dataset` */
export async function showDataset(workspace: Workspace, name: string): Promise<ShownDataset> {
  return shownOf(await store.loadDataset(workspace, name));
}

export function shownOf(dataset: Dataset): ShownDataset {
  const { format, source, copyOf } = dataset;
  const copy = copyOf === undefined ? {} : { copy: source };
  return { ...datasetSummary(dataset), source: pathOf(dataset), format, ...copy };
}

export interface RemovedDataset {
  /** Runs and sweeps that were trained on it, all of which stay. */
  runs: number;
  sweeps: number;
  /** Whether copies of its images were deleted. */
  copies: boolean;
}

/**
 * Forgets a dataset, with the copies of its images if it has any; the user's own files stay, and so do the runs and
 * sweeps that were trained on it.
 * @throws Failure `no-dataset`, and `in-use` where a sweep runs on it, which reads its test split in the end
 */
export async function removeDataset(workspace: Workspace, name: string): Promise<RemovedDataset> {
  const sweeps = (await listSweepConfigs(workspace)).filter(({ dataset }) => dataset === name);
  for (const { sweep } of sweeps)
    if (await isHeld(sweepFile(workspace, sweep, 'lock')))
      throw new Failure(
        'in-use',
        `Dataset "${name}" was not removed: sweep ${sweep} is running on it; wait for it, or stop it first.`,
      );
  const copies = await store.isCopied(workspace, name).catch(() => false);
  await store.removeDataset(workspace, name);
  const runs = await listRuns(workspace);
  return { runs: runs.filter(({ dataset }) => dataset === name).length, sweeps: sweeps.length, copies };
}

/**
 * The dataset of a name in the workspace, else of a folder, which is imported under its own name or, when it has been
 * before, read from its entry. Images that are new or whose size or time changed are read again, the others not. A copy stays as
 * it is.
 * @throws Failure `no-dataset` where it is neither, `name-taken`, and those of `importDataset`
 */
export async function resolveDataset(
  workspace: Workspace,
  nameOrPath: string,
  options: TaskOptions = {},
): Promise<Dataset> {
  if (isSafeName(nameOrPath) && (await store.hasDataset(workspace, nameOrPath))) {
    const dataset = await store.loadDataset(workspace, nameOrPath);
    const { name, format } = dataset;
    // A copy does not depend on what it was made of.
    if (dataset.copyOf !== undefined) return dataset;
    const path = pathOf(dataset);
    // Read again for what changed since; without its folder (an unplugged disk) kept features may still do.
    return (await exists(path)) ? importFrom(workspace, path, { name, format }, options) : dataset;
  }
  const known = await knownEntry(workspace, nameOrPath);
  // Only adding it again brings a copy up to date: the originals may have gone since.
  if (known !== undefined && (await store.isCopied(workspace, known))) return store.loadDataset(workspace, known);
  await checkDatasetIsThere(workspace, nameOrPath);
  try {
    return await importFrom(workspace, nameOrPath, {}, options);
  } catch (error) {
    if (!(error instanceof Failure) || error.code !== 'name-taken') throw error;
    throw new Failure(
      'name-taken',
      `"${resolve(nameOrPath)}" cannot be taken in under its own name, which another dataset has: add it first with "sidetune datasets add PATH --name NAME".`,
      { cause: error },
    );
  }
}

/** A dataset as it is now with only so many lines of its log of edits: as a run had it that trained then. */
export async function datasetAsEdited(workspace: Workspace, now: Dataset, lines: number): Promise<Dataset> {
  return (now.edits ?? 0) === lines ? now : store.loadDataset(workspace, now.name, lines);
}

/**
 * Checks that there is something of this name or path, whatever is in it.
 * @throws Failure `no-dataset`
 */
export async function checkDatasetIsThere(workspace: Workspace, nameOrPath: string): Promise<void> {
  if (isSafeName(nameOrPath) && (await store.hasDataset(workspace, nameOrPath))) return;
  if (!(await exists(nameOrPath)))
    throw new Failure(
      'no-dataset',
      `"${nameOrPath}" is neither a dataset in the workspace nor a folder: see "sidetune datasets list", or give a folder's path.`,
    );
}

async function importFrom(
  workspace: Workspace,
  path: string,
  settings: ImportSettings,
  options: TaskOptions,
): Promise<Dataset> {
  const decoder = new LateDecoder();
  try {
    return await importDataset(workspace, path, settings, { ...options, decoder });
  } finally {
    await decoder.close();
  }
}

import { Failure } from '../base/failure.ts';
import type { Dataset } from '../data/dataset.ts';
import { loadDataset } from '../data/dataset-store.ts';
import type { Workspace } from '../workspace/workspace.ts';
import type { RunConfig } from './run-folder.ts';

/**
 * The dataset of a run, with the edits that it was trained with.
 * @throws Failure `no-dataset` where it was removed, `damaged-file`
 */
export async function datasetOfRun(
  workspace: Workspace,
  { run, dataset, datasetEdits = 0 }: Pick<RunConfig, 'run' | 'dataset' | 'datasetEdits'>,
): Promise<Dataset> {
  try {
    return await loadDataset(workspace, dataset, datasetEdits);
  } catch (error) {
    throw error instanceof Failure && error.code === 'no-dataset' ? datasetGone(run, dataset, error) : error;
  }
}

/** What to say where the dataset of a run is needed and was removed. */
export function datasetGone(run: string, dataset: string, cause?: unknown): Failure {
  return new Failure(
    'no-dataset',
    `The dataset "${dataset}" that run ${run} was trained on was removed from the workspace: add its images again with "sidetune datasets add PATH --name ${dataset}" (single pictures are predicted without it).`,
    { cause },
  );
}

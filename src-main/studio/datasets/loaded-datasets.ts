import { join } from 'node:path';
import { fileStamp } from '../../base/file-stamp.ts';
import type { Dataset } from '../../data/dataset.ts';
import { loadDataset } from '../../data/dataset-store.ts';
import { editLogOf } from '../../data/edits/edit-log.ts';
import type { Workspace } from '../../workspace/workspace.ts';

/** Datasets that are being looked at: a page or a picture of a large one must not read all of it each time. */
export class LoadedDatasets {
  private readonly kept = new Map<string, { stamp: string; dataset: Promise<Dataset> }>();

  constructor(private readonly workspace: Workspace) {}

  /** The dataset as it is on disk now. @throws Failure as `loadDataset` */
  async get(name: string): Promise<Dataset> {
    const entry = await fileStamp(join(this.workspace.dataset(name), 'dataset.json'));
    const stamp = `${entry} ${await fileStamp(editLogOf(this.workspace, name))}`;
    const kept = this.kept.get(name);
    if (kept?.stamp === stamp && entry !== '') return kept.dataset;
    const dataset = loadDataset(this.workspace, name);
    this.kept.set(name, { stamp, dataset });
    dataset.catch(() => this.kept.delete(name));
    return dataset;
  }
}

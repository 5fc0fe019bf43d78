import { listBackbones, type Backbone } from '../backbone/catalogue.ts';
import { exists } from '../base/exists.ts';
import { Failure } from '../base/failure.ts';
import { imagesOf, splitNames, type Dataset, type DatasetImage } from '../data/dataset.ts';
import { loadDataset } from '../data/dataset-store.ts';
import { viewsOf } from '../data/views.ts';
import { featureKey, roundingOf } from '../features/feature-set.ts';
import { readSweepConfig } from '../sweep/sweep-folder.ts';
import { listRuns, runFile } from '../training/run-folder.ts';
import { splitImages } from '../training/split-images.ts';
import type { Workspace } from '../workspace/workspace.ts';

const STORAGES = ['fp16', 'int8'] as const;

/**
 * Names of the cache's folders that are still asked for: of each dataset's splits as they are now, of what sweeps and
 * unfinished runs train on, and of what a finished run is evaluated on. The rest is of lists before an edit, of limits
 * and views of runs that are done, or of what has been removed.
 * @throws Failure `damaged-file` where a dataset, run or sweep does not say what it needs
 */
export async function usedFeatures(workspace: Workspace): Promise<Set<string>> {
  const backbones = await listBackbones(workspace);
  const keys = new Set<string>();
  const use = (
    lists: readonly (readonly DatasetImage[])[],
    of: readonly Backbone[] = backbones,
    storages: readonly ('fp16' | 'int8')[] = STORAGES,
  ): void => {
    for (const images of lists)
      for (const backbone of of) for (const storage of storages) keys.add(featureKey(images, backbone, storage));
  };
  const called = (name: string) => backbones.filter((backbone) => backbone.name === name);
  const loaded = new Map<string, Dataset | undefined>();
  const asEdited = async (name: string, lines?: number): Promise<Dataset | undefined> => {
    const key = JSON.stringify([name, lines]);
    if (!loaded.has(key)) loaded.set(key, await loadDataset(workspace, name, lines).catch(unlessRemoved));
    return loaded.get(key);
  };

  for (const name of await workspace.list('datasets')) {
    const dataset = await asEdited(name);
    if (dataset) use(splitNames.map((split) => imagesOf(dataset, split)));
  }
  for (const { run, settings, trainOn, backbone, ...config } of await listRuns(workspace)) {
    const dataset = await asEdited(config.dataset, config.datasetEdits ?? 0);
    if (!dataset) continue;
    const { train, val, test } = splitImages(dataset, settings, { trainOn });
    const done = await exists(runFile(workspace, run, 'result'));
    const lists = done && val.length > 0 ? [val, test] : [viewsOf(train, settings.views), val, test];
    use(lists, called(backbone), [roundingOf(settings.cache)]);
  }
  for (const sweep of await workspace.list('sweeps')) {
    const config = await readSweepConfig(workspace, sweep);
    const dataset = await asEdited(config.dataset, config.datasetEdits ?? 0);
    if (!dataset) continue;
    const [train, val, test] = splitNames.map((split) => imagesOf(dataset, split));
    use([train!, val!, test!, [...train!, ...val!]], called(config.backbone));
  }
  return keys;
}

function unlessRemoved(error: unknown): undefined {
  if (!(error instanceof Failure) || error.code !== 'no-dataset') throw error;
}

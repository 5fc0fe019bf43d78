import { loadBackbone } from '../../backbone/catalogue.ts';
import { EMBEDDED_BACKBONE } from '../../backbone/embedded.ts';
import { Failure } from '../../base/failure.ts';
import { hasDataset } from '../../data/dataset-store.ts';
import type { SweepConfig } from '../../sweep/sweep-config.ts';
import type { Workspace } from '../../workspace/workspace.ts';

/**
 * Checks that what a sweep trains on is still in the workspace, where its names could by now mean something else.
 * @throws Failure `no-dataset`, `unknown-backbone`, which say how to put it back
 */
export async function checkGround(
  workspace: Workspace,
  { sweep, dataset, backbone }: Pick<SweepConfig, 'sweep' | 'dataset' | 'backbone'>,
): Promise<void> {
  if (!(await hasDataset(workspace, dataset)))
    throw new Failure(
      'no-dataset',
      `The dataset "${dataset}" of sweep ${sweep} was removed from the workspace: add its images again with "sidetune datasets add PATH --name ${dataset}"; the trials are kept, and the sweep goes on from them.`,
    );
  await loadBackbone(workspace, backbone).catch((error: unknown) => {
    if (!(error instanceof Failure) || error.code !== 'unknown-backbone') throw error;
    if (backbone === EMBEDDED_BACKBONE) return;
    throw new Failure(
      'unknown-backbone',
      `The backbone "${backbone}" of sweep ${sweep} was removed from the workspace: add it again with "sidetune backbones add FILE.onnx --name ${backbone}"; the trials are kept, and the sweep goes on from them.`,
      { cause: error },
    );
  });
}

/** Pictures that the studio draws itself, for whoever has none at hand. */
import { join } from 'node:path';
import { exists } from '../../base/exists.ts';
import type { TaskOptions } from '../../base/progress.ts';
import { writeOrientationSet } from '../../data/sample/orientation.ts';
import type { Workspace } from '../../workspace/workspace.ts';

/** The folder of the orientation sample set in the workspace, written where it is missing and kept for the next time. */
export async function sampleImages(workspace: Workspace, options: TaskOptions): Promise<string> {
  const folder = join(workspace.root, 'samples', 'orientation');
  // The list that is written last.
  if (!(await exists(join(folder, 'train800.txt')))) await writeOrientationSet(folder, {}, options);
  return folder;
}

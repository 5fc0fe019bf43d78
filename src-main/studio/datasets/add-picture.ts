import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { LateDecoder } from '../../data/decode/late-decoder.ts';
import { addEdit } from '../../data/edits/edit-dataset.ts';
import { loadDataset } from '../../data/dataset-store.ts';
import { writeFileAtomic } from '../../workspace/atomic.ts';
import type { Workspace } from '../../workspace/workspace.ts';
import { describeEdited, type EditedDataset } from './dataset-edits.ts';

/** How pictures begin, by what their files are called. */
const ENDINGS: readonly [start: string, ending: string][] = [
  ['\xff\xd8\xff', 'jpg'],
  ['\x89PNG', 'png'],
  ['GIF8', 'gif'],
  ['RIFF', 'webp'],
  ['BM', 'bmp'],
  ['II*\0', 'tiff'],
  ['MM\0*', 'tiff'],
];

/**
 * Adds a picture to a dataset to train on: it is kept in the workspace, and an edit names it, so that it can be undone
 * and runs keep the data that they were trained with.
 * @param picture what a complaint calls it
 * @param label name of its class
 * @throws Failure `no-dataset`, `image` for one that cannot be read, `edit` where it is there already
 */
export async function addPicture(
  workspace: Workspace,
  dataset: string,
  { picture, label, bytes }: { picture: string; label: string; bytes: Uint8Array },
): Promise<EditedDataset> {
  await loadDataset(workspace, dataset);
  const decoder = new LateDecoder();
  const sha256 = await decoder.check({ path: picture, encoded: bytes }).finally(() => decoder.close());
  const start = Buffer.from(bytes.subarray(0, 4)).toString('latin1');
  const ending = ENDINGS.find(([beginning]) => start.startsWith(beginning))?.[1] ?? 'image';
  const path = `added/${sha256}.${ending}`;
  const file = join(workspace.dataset(dataset), path);
  await writeFileAtomic(file, bytes);
  const { size, mtimeMs } = await stat(file);
  const added = { path, bytes: size, mtimeMs, sha256 };
  return describeEdited(await addEdit(workspace, dataset, { kind: 'add-picture', picture: added, class: label }));
}

import { stat } from 'node:fs/promises';
import { Failure } from '../base/failure.ts';
import type { DatasetFormat } from './dataset.ts';
import { folderLayout } from './layouts/folder.ts';
import type { Layout } from './layouts/layout.ts';
import { listsLayout } from './layouts/lists.ts';

/** In the order in which `auto` tries them: what leaves the surest sign first. */
const layouts: readonly Layout[] = [listsLayout, folderLayout];

/**
 * The layout of a folder: the one asked for, or with `auto` the first that recognises it.
 * @throws Failure `dataset` where the path is no readable folder or no layout fits
 */
export async function chooseLayout(root: string, format: DatasetFormat | 'auto'): Promise<Layout> {
  const found = await stat(root).catch(() => undefined);
  if (found === undefined) throw new Failure('dataset', `There is no folder "${root}".`);
  if (!found.isDirectory())
    throw new Failure('dataset', `"${root}" is a file: a folder of class folders or of VTAB-1K lists was expected.`);
  for (const layout of layouts) {
    if (format === 'auto' ? await layout.recognises(root) : layout.format === format) return layout;
  }
  throw new Failure(
    'dataset',
    `"${root}" holds neither class folders nor VTAB-1K lists (train800.txt): nothing was imported.`,
  );
}

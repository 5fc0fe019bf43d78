import { readdir, stat } from 'node:fs/promises';
import { basename, dirname, extname } from 'node:path';
import { Failure } from '../base/failure.ts';
import type { DatasetFormat } from './dataset.ts';
import { csvLayout } from './layouts/csv.ts';
import { folderLayout, imageExtensions } from './layouts/folder.ts';
import { idxLayout } from './layouts/idx.ts';
import type { Layout, Place } from './layouts/layout.ts';
import { listsLayout } from './layouts/lists.ts';
import { parquetLayout } from './layouts/parquet.ts';

/** In the order in which `auto` tries them: what leaves the surest sign first. */
const layouts: readonly Layout[] = [listsLayout, parquetLayout, idxLayout, csvLayout, folderLayout];

const accepted =
  'a folder with one folder of images for each class (under train/, val/ and test/ or not), VTAB-1K lists (train800.txt), a CSV file with the columns "path" and "label", Hugging Face parquet files with pictures, or IDX files (train-images-idx3-ubyte)';

/**
 * The layout of what lies at an absolute path: the one asked for, or with `auto` the first that recognises it.
 * @throws Failure `dataset` where there is nothing, or no layout fits
 */
export async function chooseLayout(
  path: string,
  format: DatasetFormat | 'auto',
): Promise<{ layout: Layout; place: Place }> {
  const found = await stat(path).catch(() => undefined);
  if (found === undefined) throw new Failure('dataset', `There is nothing at "${path}".`);
  if (!found.isDirectory() && !found.isFile())
    throw new Failure('dataset', `"${path}" is neither a folder nor a file.`);
  const place = found.isDirectory() ? { root: path } : { root: dirname(path), file: basename(path) };
  if (found.isDirectory()) await checkReadable(path);
  for (const layout of layouts) {
    const fits = format === 'auto' ? await layout.recognises(place) : layout.format === format;
    if (fits && !(place.file !== undefined && wholeFolders.includes(layout.format))) return { layout, place };
  }
  if (format !== 'auto')
    throw new Failure(
      'dataset',
      `"${path}" is a file, and the format "${format}" is that of a folder: give its folder.`,
    );
  throw new Failure('dataset', `"${path}" is no dataset: ${await describe(place)}. Accepted are ${accepted}.`);
}

/** Layouts that are never one file. */
const wholeFolders: readonly DatasetFormat[] = ['folder', 'lists'];

async function checkReadable(folder: string): Promise<void> {
  await readdir(folder).catch((error: unknown) => {
    throw new Failure('dataset', `The folder "${folder}" may not be read: check its permissions.`, { cause: error });
  });
}

async function describe({ root, file }: Place): Promise<string> {
  if (file !== undefined)
    return `it is a file ${extname(file) === '' ? 'without an ending' : `ending in ${extname(file)}`}`;
  const names = (await readdir(root)).filter((name) => !name.startsWith('.'));
  const images = names.filter((name) => imageExtensions.includes(extname(name).toLowerCase())).length;
  if (images > 0) return `it holds ${images === 1 ? '1 image' : `${images} images`} that no folder gives a class`;
  return names.length === 0 ? 'the folder is empty' : 'none of its files is a list of images or holds any';
}

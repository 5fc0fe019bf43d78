import { readdir, realpath, stat } from 'node:fs/promises';
import type { Dirent } from 'node:fs';
import { extname, join, sep } from 'node:path';
import { Failure } from '../../base/failure.ts';
import { errorCode } from '../../workspace/atomic.ts';
import type { Problem, SplitName } from '../dataset.ts';
import { checkClassNames } from './classes.ts';
import type { FoundImage, Layout, Scan } from './layout.ts';

/*
 * Class folders, with or without a level of train, val and test folders above them (as torchvision's ImageFolder).
 * Folders inside a class folder belong to the class. Links are followed, each real folder once a class.
 */

const imageExtensions = new Set('.jpg .jpeg .jpe .jfif .png .webp .gif .tif .tiff .avif .bmp .heic .heif'.split(' '));

const splitFolders: Record<string, SplitName> = {
  train: 'train',
  training: 'train',
  val: 'val',
  valid: 'val',
  validation: 'val',
  test: 'test',
  testing: 'test',
};

interface Entry {
  name: string;
  kind: 'folder' | 'file';
}

export const folderLayout: Layout = {
  format: 'folder',
  async recognises(root) {
    return (await listEntries(root, [])).some((entry) => entry.kind === 'folder');
  },
  scan: scanFolder,
};

async function scanFolder(root: string, signal?: AbortSignal): Promise<Scan> {
  const problems: Problem[] = [];
  const groups = await findSplits(root, problems);
  const classes = [...new Set(groups.flatMap((group) => group.classFolders))].sort();
  if (classes.length === 0)
    throw new Failure(
      'dataset',
      `"${root}" has no class folders: put the images of each class in a folder of its own.`,
    );
  checkClassNames(classes, root);
  const images: FoundImage[] = [];
  for (const { prefix, split, classFolders } of groups) {
    for (const name of classFolders) {
      signal?.throwIfAborted();
      const paths = await collectImages(root, `${prefix}${name}`, problems);
      images.push(...paths.sort().map((path) => ({ path, label: classes.indexOf(name), split })));
    }
  }
  const empty = classes.find((_, label) => !images.some((image) => image.label === label));
  if (empty !== undefined)
    throw new Failure(
      'dataset',
      `The class folder ${JSON.stringify(empty)} in "${root}" holds no images: add some or remove it.`,
    );
  return { classes, images, problems };
}

interface SplitGroup {
  prefix: string;
  split: SplitName | undefined;
  classFolders: string[];
}

/** The split folders where `root` has a train folder and nothing but split folders, else `root` itself. */
async function findSplits(root: string, problems: Problem[]): Promise<SplitGroup[]> {
  const folders = (await foldersIn(root, '', problems)).sort();
  const splits = folders.map((name) => splitFolders[name.toLowerCase()]);
  if (!splits.includes('train') || splits.includes(undefined))
    return [{ prefix: '', split: undefined, classFolders: folders }];
  // Without a val folder, what is in train is dealt into train and val.
  const trainSplit = splits.includes('val') ? 'train' : undefined;
  const groups: SplitGroup[] = [];
  for (const [index, name] of folders.entries()) {
    const split = splits[index] === 'train' ? trainSplit : splits[index];
    groups.push({ prefix: `${name}/`, split, classFolders: await foldersIn(root, `${name}/`, problems) });
  }
  return groups;
}

async function foldersIn(root: string, prefix: string, problems: Problem[]): Promise<string[]> {
  const entries = await listEntries(join(root, prefix), problems);
  for (const { name, kind } of entries) {
    if (kind === 'file' && imageExtensions.has(extname(name).toLowerCase()))
      problems.push(problem('no-class', join(root, prefix, name), 'lies outside the class folders'));
  }
  return entries.filter((entry) => entry.kind === 'folder').map((entry) => entry.name);
}

/** Image files in `folder` and below, relative to `root`, sorted by nothing; what cannot be entered is a problem. */
export async function collectImages(root: string, folder: string, problems: Problem[]): Promise<string[]> {
  const images: string[] = [];
  const seen = new Set<string>();
  const open = [{ folder, parent: await realpath(root) }];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const current = next.folder;
    const path = join(root, current);
    const real = await realpath(path).catch(() => path);
    // A link to a folder above would bring in the images of other classes.
    if (seen.has(real) || `${next.parent}${sep}`.startsWith(`${real}${sep}`)) {
      problems.push(problem('link-loop', path, 'leads to a folder that it lies in or that was read already'));
      continue;
    }
    seen.add(real);
    for (const { name, kind } of await listEntries(path, problems)) {
      const child = `${current}/${name}`;
      if (kind === 'folder') open.push({ folder: child, parent: real });
      else if (imageExtensions.has(extname(name).toLowerCase())) images.push(child);
      else problems.push(problem('not-image', join(root, child), 'is not an image file'));
    }
  }
  return images;
}

/** Files and folders in a folder, links resolved, without hidden ones and those that systems leave behind. */
async function listEntries(folder: string, problems: Problem[]): Promise<Entry[]> {
  let listed: Dirent[];
  try {
    listed = await readdir(folder, { withFileTypes: true });
  } catch {
    problems.push(problem('unreadable', folder, 'may not be read'));
    return [];
  }
  const entries: Entry[] = [];
  for (const entry of listed) {
    const { name } = entry;
    if (/^(\.|thumbs\.db$|desktop\.ini$|__MACOSX$)/i.test(name)) continue;
    const found = entry.isSymbolicLink() ? await followLink(join(folder, name), problems) : entry;
    if (found?.isDirectory()) entries.push({ name, kind: 'folder' });
    else if (found?.isFile()) entries.push({ name, kind: 'file' });
  }
  return entries;
}

async function followLink(path: string, problems: Problem[]) {
  try {
    return await stat(path);
  } catch (error) {
    const loop = errorCode(error) === 'ELOOP';
    problems.push(
      problem(loop ? 'link-loop' : 'unreadable', path, `is a link that leads ${loop ? 'to itself' : 'nowhere'}`),
    );
    return undefined;
  }
}

function problem(kind: string, path: string, what: string): Problem {
  return { kind, path, message: `"${path}" ${what} and was left out.` };
}

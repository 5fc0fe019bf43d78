import { readdir, realpath, stat } from 'node:fs/promises';
import type { Dirent } from 'node:fs';
import { extname, join, sep } from 'node:path';
import { Failure } from '../../base/failure.ts';
import { errorCode } from '../../workspace/atomic.ts';
import type { Problem, SplitName } from '../dataset.ts';
import { checkClassNames } from './classes.ts';
import { openTrainWithoutVal, splitOf, type FoundImage, type Layout, type Place, type Scan } from './layout.ts';

/*
 * Class folders, with or without a level of train, val and test folders above them (as torchvision's ImageFolder).
 * Folders inside a class folder belong to the class. Links are followed, each real folder once a class.
 */

export const imageExtensions = '.jpg .jpeg .jpe .jfif .png .webp .gif .tif .tiff .avif .bmp .heic .heif'.split(' ');

const isImage = (name: string): boolean => imageExtensions.includes(extname(name).toLowerCase());

interface Entry {
  name: string;
  kind: 'folder' | 'file';
}

export const folderLayout: Layout = {
  format: 'folder',
  async recognises({ root, file }) {
    return file === undefined && (await listEntries(root, new Findings(root))).some(({ kind }) => kind === 'folder');
  },
  scan: scanFolder,
};

async function scanFolder({ root }: Place, signal?: AbortSignal): Promise<Scan> {
  const findings = new Findings(root);
  const groups = await findSplits(root, findings);
  const classes = [...new Set(groups.flatMap((group) => group.classFolders))].sort();
  if (classes.length === 0)
    throw new Failure(
      'dataset',
      `"${root}" has no class folders: put the images of each class in a folder of its own.`,
    );
  checkClassNames(classes, root);
  const labels = new Map(classes.map((name, label) => [name, label]));
  const images: FoundImage[] = [];
  for (const { prefix, split, classFolders } of groups) {
    for (const name of classFolders) {
      signal?.throwIfAborted();
      for (const path of (await collectImages(root, `${prefix}${name}`, findings)).sort())
        images.push({ path, label: labels.get(name)!, split });
    }
  }
  await refuseWhatIsNoSet(root, classes, images);
  return { classes, images: openTrainWithoutVal(images), problems: findings.problems() };
}

/** @throws Failure `dataset` where a class has no image, or the folder holds a dataset and not classes */
async function refuseWhatIsNoSet(root: string, classes: readonly string[], images: readonly FoundImage[]) {
  if (images.length === 0)
    throw new Failure(
      'dataset',
      `The folders in "${root}" hold no images: files ending in ${imageExtensions.join(' ')} were looked for.`,
    );
  const full = new Set(images.map(({ label }) => label));
  const empty = classes.find((_, label) => !full.has(label));
  if (empty !== undefined)
    throw new Failure(
      'dataset',
      `The class folder ${JSON.stringify(empty)} in "${root}" holds no images: add some or remove it.`,
    );
  // An archive unpacked into a folder of its own.
  const inner = join(root, classes[0]!);
  const folders = new Set(images.map(({ path }) => path.slice(0, path.lastIndexOf('/'))));
  const splitless = images.every(({ split }) => split === undefined);
  if (classes.length === 1 && splitless && folders.size > 1 && !folders.has(classes[0]!))
    throw new Failure('dataset', `"${root}" holds one folder, with the classes in it: give "${inner}" instead.`);
}

interface SplitGroup {
  prefix: string;
  split: SplitName | undefined;
  classFolders: string[];
}

/** The split folders where `root` has a train folder and nothing but split folders, else `root` itself. */
async function findSplits(root: string, findings: Findings): Promise<SplitGroup[]> {
  const folders = (await foldersIn(root, '', findings)).sort();
  const splits = folders.map(splitOf);
  if (!splits.includes('train') || splits.includes(undefined))
    return [{ prefix: '', split: undefined, classFolders: folders }];
  const groups: SplitGroup[] = [];
  for (const [index, name] of folders.entries()) {
    const classFolders = await foldersIn(root, `${name}/`, findings);
    groups.push({ prefix: `${name}/`, split: splits[index], classFolders });
  }
  return groups;
}

async function foldersIn(root: string, prefix: string, findings: Findings): Promise<string[]> {
  const entries = await listEntries(join(root, prefix), findings);
  for (const { name, kind } of entries)
    if (kind === 'file' && isImage(name)) findings.count('no-class', join(root, prefix, name));
  return entries.filter((entry) => entry.kind === 'folder').map((entry) => entry.name);
}

/** Image files in `folder` and below, relative to `root`, sorted by nothing; what cannot be entered is a finding. */
export async function collectImages(root: string, folder: string, findings: Findings): Promise<string[]> {
  const images: string[] = [];
  const seen = new Set<string>();
  const open = [{ folder, parent: await realpath(root) }];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const current = next.folder;
    const path = join(root, current);
    const real = await realpath(path).catch(() => path);
    // A link to a folder above would bring in the images of other classes.
    if (seen.has(real) || `${next.parent}${sep}`.startsWith(`${real}${sep}`)) {
      findings.add('link-loop', path, 'leads to a folder that it lies in or that was read already');
      continue;
    }
    seen.add(real);
    for (const { name, kind } of await listEntries(path, findings)) {
      const child = `${current}/${name}`;
      if (kind === 'folder') open.push({ folder: child, parent: real });
      else if (isImage(name)) images.push(child);
      else findings.count('not-image', join(root, child));
    }
  }
  return images;
}

/** Files and folders in a folder, links resolved, without hidden ones and those that systems leave behind. */
async function listEntries(folder: string, findings: Findings): Promise<Entry[]> {
  let listed: Dirent[];
  try {
    listed = await readdir(folder, { withFileTypes: true });
  } catch {
    findings.add('unreadable', folder, 'may not be read');
    return [];
  }
  const entries: Entry[] = [];
  for (const entry of listed) {
    const { name } = entry;
    if (/^(\.|thumbs\.db$|desktop\.ini$|__MACOSX$)/i.test(name)) continue;
    const path = join(folder, name);
    const found = entry.isSymbolicLink() ? await followLink(path, findings) : entry;
    if (found?.isDirectory()) entries.push({ name, kind: 'folder' });
    else if (found?.isFile()) entries.push({ name, kind: 'file' });
    else if (found) findings.add('not-file', path, 'is a pipe, socket or device and no file');
  }
  return entries;
}

async function followLink(path: string, findings: Findings) {
  try {
    return await stat(path);
  } catch (error) {
    const loop = errorCode(error) === 'ELOOP';
    findings.add(loop ? 'link-loop' : 'unreadable', path, `is a link that leads ${loop ? 'to itself' : 'nowhere'}`);
    return undefined;
  }
}

/** What is left out, and why. Of what comes in thousands, such as notes beside images, one line says how many. */
export class Findings {
  private readonly single: Problem[] = [];
  private readonly counted = new Map<'no-class' | 'not-image', { first: string; count: number }>();

  constructor(private readonly root: string) {}

  add(kind: string, path: string, what: string): void {
    this.single.push({ kind, path, message: `"${path}" ${what} and was left out.` });
  }

  count(kind: 'no-class' | 'not-image', path: string): void {
    const { first, count } = this.counted.get(kind) ?? { first: path, count: 0 };
    this.counted.set(kind, { first, count: count + 1 });
  }

  problems(): Problem[] {
    const counted = [...this.counted].map(([kind, { first, count }]): Problem => {
      const what = kind === 'no-class' ? 'outside the class folders' : 'with other endings than those of images';
      const files = count === 1 ? '1 file' : `${count} files`;
      const message = `${files} ${what} in "${this.root}" ${count === 1 ? 'was' : 'were'} left out: "${first}"${count === 1 ? '' : ' and others'}.`;
      return { kind, path: first, message };
    });
    return [...this.single, ...counted];
  }
}

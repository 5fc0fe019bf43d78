import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { link, mkdir, open, rm, stat, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { basename, dirname, isAbsolute, join, relative, resolve, sep } from 'node:path';
import { exists } from '../base/exists.ts';
import { Failure } from '../base/failure.ts';
import { makeFolder } from '../base/make-folder.ts';
import type { TaskOptions } from '../base/progress.ts';
import { diskFull, syncFolder, temporaryName } from '../workspace/atomic.ts';
import { freeSpace } from '../workspace/free-space.ts';
import type { Workspace } from '../workspace/workspace.ts';
import { mapConcurrently } from './concurrent.ts';
import { isSameFile, type Dataset, type DatasetImage } from './dataset.ts';

/** Images that were copied into a folder under a temporary name, which waits to be taken into an entry. */
export interface CopiedImages {
  folder: string;
  images: DatasetImage[];
}

/** A file to copy: an image, or one in which several are packed. */
interface CopyJob {
  from: string;
  /** Relative to the copy's folder. */
  to: string;
  bytes: number;
  mtimeMs: number;
  /** The file of an earlier copy that has the same content. */
  kept: string | undefined;
}

/** Disks give files whole blocks. */
const BLOCK_BYTES = 4096;

/**
 * Where an image lies in a copy, relative to it: where it lies in the source, or under `outside` if that is elsewhere.
 * @param path as a dataset has it, relative to the source or absolute
 */
export function pathInCopy(source: string, path: string): string {
  const full = resolve(source, path);
  const inside = relative(source, full);
  if (inside !== '..' && !inside.startsWith(`..${sep}`) && !isAbsolute(inside)) return inside.split(sep).join('/');
  const folder = createHash('sha256').update(dirname(full)).digest('hex').slice(0, 16);
  return `outside/${folder}/${basename(full)}`;
}

/**
 * Copies the files of a dataset's images into a new folder with a temporary name beside the datasets, all synced. What
 * an earlier copy has already is linked from there.
 * @param known the entry as it was, which may be such a copy
 * @returns the folder and the images as they lie in it; undefined where the earlier copy has all of them and no other
 * @throws Failure `disk-full`, beforehand where the disk says that it has no room; `image-changed`; the signal's reason
 */
export async function copyImages(
  workspace: Workspace,
  dataset: Dataset,
  known: Dataset | undefined,
  { onProgress, signal }: TaskOptions,
): Promise<CopiedImages | undefined> {
  const jobs = await planCopy(dataset, known?.copyOf === undefined ? undefined : known);
  const knownFiles = new Set(known?.images.map(({ path }) => path));
  if (jobs.every(({ kept }) => kept !== undefined) && knownFiles.size === jobs.length) return undefined;
  const needed = jobs.reduce((sum, { bytes, kept }) => (kept === undefined ? sum + wholeBlocks(bytes) : sum), 0);
  await checkRoom(workspace.datasets, dataset.name, needed);
  const folder = temporaryName(join(workspace.datasets, dataset.name));
  try {
    await makeFolder(dirname(folder));
    await mkdir(folder);
    let done = 0;
    const report = () => onProgress?.({ task: 'copy images', done: done++, total: jobs.length, unit: 'files' });
    report();
    const copied = await mapConcurrently(
      jobs,
      2 * availableParallelism(),
      async (job) => {
        const status = await copyFile(job, join(folder, job.to), signal);
        report();
        return [job.to, status] as const;
      },
      signal,
    );
    await syncFolders(folder, jobs);
    const files = new Map(copied);
    const images = dataset.images.map((image) => {
      const path = pathInCopy(dataset.source, image.path);
      return { ...image, path, ...files.get(path)! };
    });
    return { folder, images };
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    signal?.throwIfAborted();
    throw diskFull(error, folder);
  }
}

const wholeBlocks = (bytes: number): number => Math.ceil(bytes / BLOCK_BYTES) * BLOCK_BYTES;

async function planCopy(dataset: Dataset, earlier: Dataset | undefined): Promise<CopyJob[]> {
  const earlierImages = new Map(earlier?.images.map((image) => [image.path, image]));
  const files = new Map<string, DatasetImage>();
  for (const image of dataset.images) files.set(pathInCopy(dataset.source, image.path), image);
  return mapConcurrently([...files], 2 * availableParallelism(), async ([to, { path, bytes, mtimeMs }]) => {
    const image = earlierImages.get(to);
    const same = earlier && image && isSameFile(image, bytes, mtimeMs) ? resolve(earlier.source, to) : undefined;
    const status = same === undefined ? undefined : await stat(same).catch(() => undefined);
    const kept = status && isSameFile(image!, status.size, status.mtimeMs) ? same : undefined;
    return { from: resolve(dataset.source, path), to, bytes, mtimeMs, kept };
  });
}

async function checkRoom(folder: string, name: string, neededBytes: number): Promise<void> {
  const freeBytes = await freeSpace(folder);
  if (neededBytes <= freeBytes) return;
  throw new Failure(
    'disk-full',
    `A copy of the images of "${name}" needs ${megabytes(neededBytes)} and the disk of "${folder}" has ${megabytes(freeBytes)} free: free some space, add them without --copy, or put the workspace elsewhere with --workspace.`,
  );
}

const megabytes = (bytes: number): string =>
  `${(bytes / 1e6).toLocaleString('en-US', { maximumFractionDigits: 1 })} MB`;

/** @returns size and time of the copy */
async function copyFile(job: CopyJob, to: string, signal?: AbortSignal): Promise<{ bytes: number; mtimeMs: number }> {
  await makeFolder(dirname(to));
  if (job.kept === undefined || !(await linked(job.kept, to))) await copyContent(job, to, signal);
  const { size: bytes, mtimeMs } = await stat(to);
  return { bytes, mtimeMs };
}

/** Some file systems have no hard links, and an earlier copy may be removed meanwhile. */
function linked(from: string, to: string): Promise<boolean> {
  return link(from, to).then(
    () => true,
    () => false,
  );
}

async function copyContent({ from, bytes, mtimeMs }: CopyJob, to: string, signal?: AbortSignal): Promise<void> {
  const file = await open(to, 'wx');
  try {
    await writeFile(file, createReadStream(from), { signal }).catch(async (error: unknown) => {
      throw (await exists(from)) ? error : changed(from);
    });
    await file.utimes(mtimeMs / 1000, mtimeMs / 1000);
    await file.sync();
  } finally {
    await file.close();
  }
  const status = await stat(from).catch(() => undefined);
  if (!status || !isSameFile({ bytes, mtimeMs }, status.size, status.mtimeMs)) throw changed(from);
}

function changed(path: string): Failure {
  return new Failure('image-changed', `"${path}" was changed while it was being copied: add the dataset again.`);
}

async function syncFolders(root: string, jobs: readonly CopyJob[]): Promise<void> {
  const folders = new Set([root]);
  for (const { to } of jobs)
    for (let folder = dirname(join(root, to)); !folders.has(folder); folder = dirname(folder)) folders.add(folder);
  await mapConcurrently([...folders], 2 * availableParallelism(), syncFolder);
}

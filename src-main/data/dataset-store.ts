import { createHash, randomBytes } from 'node:crypto';
import { readdir, readFile, rename, rm, rmdir, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { z } from 'zod';
import { Failure } from '../base/failure.ts';
import { makeFolder } from '../base/make-folder.ts';
import { errorCode, readJsonLines, syncFolder, temporaryName, writeFileAtomic } from '../workspace/atomic.ts';
import { withLock } from '../workspace/lock.ts';
import { parseSealed, sealed } from '../workspace/record.ts';
import { sweepTemporaries } from '../workspace/sweep.ts';
import type { Workspace } from '../workspace/workspace.ts';
import { dropCheckJournal, sweepCheckJournals } from './check-journal.ts';
import { countSplits, datasetFormatSchema, datasetImageSchema, datasetSummary } from './dataset.ts';
import { pathOf, problemSchema, splitNames } from './dataset.ts';
import type { Dataset, DatasetSummary } from './dataset.ts';
import { applyEdits } from './edits/apply-edits.ts';
import { hasEditLog, historyOf, readEditLog } from './edits/edit-log.ts';

/*
 * A dataset in the workspace: dataset.json says what it is and names the list, which holds an image a line. The list is
 * named by its content, so that an entry is replaced in one step: when dataset.json is. Copies of the images lie in a
 * folder of their own below `files`, which dataset.json names too: another copy is another folder. Edits lie beside it in
 * edits.jsonl, which no import touches: what is used is always the list with the edits that are in force.
 */

const listName = /^images(-[0-9a-f]+)?\.jsonl$/;
const copyName = /^[0-9a-f]{16}$/;

const recordSchema = z.object({
  version: z.literal(1),
  name: z.string(),
  /** The folder that was imported, whether or not its images were copied. */
  source: z.string(),
  /** The folder below `files` that has the copies. */
  copy: z.string().regex(copyName).optional(),
  file: z.string().optional(),
  format: datasetFormatSchema,
  classes: z.array(z.string()),
  images: z.int().nonnegative(),
  list: z.string().regex(listName).default('images.jsonl'),
  splits: z.partialRecord(z.enum(splitNames), z.int()),
  problems: z.array(problemSchema),
});
type DatasetRecord = z.infer<typeof recordSchema>;

/** Writes a dataset's entry as it was imported, or replaces the one of its name; its edits stay. */
export async function saveDataset(workspace: Workspace, dataset: Dataset): Promise<void> {
  await inWorkspace(workspace, async () => {
    await writeEntry(workspace, dataset);
    return setAsideCopies(workspace, dataset.name);
  });
}

/**
 * Saves a dataset as the copy of its source, whose files lie complete in a folder beside the datasets; that one becomes
 * the entry's, and an earlier copy goes.
 * @returns the dataset as it was saved
 */
export async function saveCopiedDataset(workspace: Workspace, dataset: Dataset, folder: string): Promise<Dataset> {
  const source = copyFolder(workspace, dataset.name, randomBytes(8).toString('hex'));
  const copied: Dataset = { ...dataset, source, copyOf: dataset.copyOf ?? dataset.source };
  try {
    await inWorkspace(workspace, async () => {
      await makeFolder(dirname(source));
      await rename(folder, source);
      await syncFolder(dirname(source));
      await writeEntry(workspace, copied);
      return setAsideCopies(workspace, dataset.name);
    });
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    await sweepDatasets(workspace).catch(() => undefined);
    throw error;
  }
  return copied;
}

function copyFolder(workspace: Workspace, name: string, copy: string): string {
  return join(workspace.dataset(name), 'files', copy);
}

/** The lock of whoever changes an entry or what lies beside it. */
export function entriesLock(workspace: Workspace): string {
  return join(workspace.datasets, '.lock');
}

/**
 * Does a task that changes entries while nobody else does, and then removes the folders that it has set aside: nobody
 * is to wait for that.
 */
async function inWorkspace(workspace: Workspace, task: () => Promise<string[]>): Promise<void> {
  const doomed = await withLock(entriesLock(workspace), task);
  await Promise.all(doomed.map((folder) => rm(folder, { recursive: true, force: true })));
}

/** Gives a folder a temporary name beside the datasets, under which it is swept if it cannot be removed any more. */
async function setAside(workspace: Workspace, folder: string): Promise<string> {
  const doomed = temporaryName(join(workspace.datasets, basename(folder)));
  await rename(folder, doomed);
  return doomed;
}

/** Sets the copies aside that the entry of a name does not name, of which there may be none. */
async function setAsideCopies(workspace: Workspace, name: string): Promise<string[]> {
  const copies = await readdir(join(workspace.dataset(name), 'files')).catch(() => []);
  if (copies.length === 0) return [];
  const used = (await hasDataset(workspace, name)) ? (await readRecord(workspace, name)).copy : undefined;
  const unused = copies.filter((copy) => copyName.test(copy) && copy !== used);
  return Promise.all(unused.map((copy) => setAside(workspace, copyFolder(workspace, name, copy))));
}

/** Removes what commands that were killed have left: half copies, and whole ones that no entry has come to name. */
export async function sweepDatasets(workspace: Workspace): Promise<void> {
  await inWorkspace(workspace, async () => {
    await sweepTemporaries(workspace.datasets);
    await sweepCheckJournals(workspace);
    const doomed: string[] = [];
    for (const name of await workspace.list('datasets')) {
      // A damaged entry keeps its copies: they may be all that is left of the images.
      doomed.push(...(await setAsideCopies(workspace, name).catch(() => [])));
      if (await hasDataset(workspace, name)) continue;
      const folder = workspace.dataset(name);
      for (const empty of [join(folder, 'files'), folder]) await rmdir(empty).catch(() => undefined);
    }
    return doomed;
  });
}

async function writeEntry(workspace: Workspace, dataset: Dataset): Promise<void> {
  const { images, copyOf, source, ...rest } = dataset;
  const folder = workspace.dataset(dataset.name);
  await sweepTemporaries(folder);
  const lines = images.map((image) => `${JSON.stringify(image)}\n`).join('');
  const list = `images-${hashOf(lines)}.jsonl`;
  const splits = countSplits(images);
  const record: DatasetRecord = {
    version: 1,
    ...rest,
    images: images.length,
    list,
    splits,
    ...(copyOf === undefined ? { source } : { source: copyOf, copy: basename(source) }),
  };
  await writeFileAtomic(join(folder, list), lines);
  // From here on the entry is the new one; before, it is the old one or none.
  await writeFileAtomic(join(folder, 'dataset.json'), `${JSON.stringify(sealed(record), null, 2)}\n`);
  const others = (await readdir(folder)).filter((name) => listName.test(name) && name !== list);
  await Promise.all(others.map((name) => rm(join(folder, name), { force: true })));
}

/**
 * A dataset as it is used: with its edits, or with those of the first lines of their log.
 * @throws Failure `no-dataset`, or `damaged-file` where its files were harmed
 */
export async function loadDataset(workspace: Workspace, name: string, lines = Infinity): Promise<Dataset> {
  return withEdits(workspace, await loadImported(workspace, name), lines);
}

/** An imported dataset with the edits that are kept beside its entry, or those of the first lines of their log. */
export async function withEdits(workspace: Workspace, imported: Dataset, lines = Infinity): Promise<Dataset> {
  const log = (await readEditLog(workspace, imported.name)).slice(0, lines);
  if (log.length === 0) return imported;
  const { done } = historyOf(log);
  if (done.length === 0) return { ...imported, edits: log.length };
  const edits = done.map(({ edit }) => edit);
  return { ...applyEdits(imported, edits, workspace.dataset(imported.name)).dataset, edits: log.length };
}

/** A dataset as it was imported. @throws Failure `no-dataset`, `damaged-file` */
export async function loadImported(workspace: Workspace, name: string): Promise<Dataset> {
  // Its record and its list may be those before and after another process replaced it, or took it away.
  return readEntry(workspace, name).catch(() => readEntry(workspace, name));
}

async function readEntry(workspace: Workspace, name: string): Promise<Dataset> {
  const { images: count, list, ...record } = await readRecord(workspace, name);
  const path = join(workspace.dataset(name), list);
  const lines = await readList(path).catch((error: unknown) => {
    throw damaged(path, name, error);
  });
  const images = z.array(datasetImageSchema).safeParse(lines);
  const whole = images.success && images.data.length === count;
  if (!whole || images.data.some((image) => image.label >= record.classes.length)) throw damaged(path, name);
  return { ...imported(workspace, record), images: images.data };
}

/** What a record says of its dataset, with the places that a copy has in this workspace. */
function imported(
  workspace: Workspace,
  { name, source, copy, file, format, classes, problems }: Omit<DatasetRecord, 'images' | 'list'>,
): Omit<Dataset, 'images'> {
  const places = copy === undefined ? { source } : { source: copyFolder(workspace, name, copy), copyOf: source };
  return { name, ...places, ...(file === undefined ? {} : { file }), format, classes, problems };
}

/** The lines of a list, which is named by its content where it was written here. */
async function readList(path: string): Promise<unknown[]> {
  const hash = /^images-([0-9a-f]+)\.jsonl$/.exec(basename(path))?.[1];
  if (hash !== undefined && hashOf(await readFile(path)) !== hash)
    throw new RangeError('It is not the list that was written.');
  return readJsonLines(path);
}

function hashOf(list: string | Uint8Array): string {
  return createHash('sha256').update(list).digest('hex').slice(0, 16);
}

/** What was imported as a dataset, a folder or a file, or undefined where there is none of that name. */
export async function datasetSource(workspace: Workspace, name: string): Promise<string | undefined> {
  return (await hasDataset(workspace, name)) ? pathOf(await readRecord(workspace, name)) : undefined;
}

/**
 * The datasets that were imported from an absolute path, but for one: first those by reference, then copies. Damaged ones
 * are passed over.
 */
export async function datasetsOf(workspace: Workspace, path: string, but?: string): Promise<string[]> {
  const references: string[] = [];
  const copies: string[] = [];
  for (const name of await workspace.list('datasets')) {
    if (name === but || (await datasetSource(workspace, name).catch(() => undefined)) !== path) continue;
    ((await isCopied(workspace, name)) ? copies : references).push(name);
  }
  return [...references, ...copies];
}

/** Whether there is a dataset of a name, and it has copies of its images. */
export async function isCopied(workspace: Workspace, name: string): Promise<boolean> {
  return (await hasDataset(workspace, name)) && (await readRecord(workspace, name)).copy !== undefined;
}

/** Whether the workspace has a dataset of this name. */
export async function hasDataset(workspace: Workspace, name: string): Promise<boolean> {
  return stat(join(workspace.dataset(name), 'dataset.json')).then(
    () => true,
    () => false,
  );
}

/** All datasets, by name. One that is damaged is listed with that as its problem. */
export async function listDatasets(workspace: Workspace): Promise<DatasetSummary[]> {
  const summaries: DatasetSummary[] = [];
  for (const name of await workspace.list('datasets')) {
    if (!(await hasDataset(workspace, name))) continue;
    try {
      if (await hasEditLog(workspace, name)) {
        summaries.push(datasetSummary(await loadDataset(workspace, name)));
        continue;
      }
      const { classes, splits, problems } = await readRecord(workspace, name);
      summaries.push({ name, classes, splits, problems });
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      const problem = { kind: error.code, path: workspace.dataset(name), message: error.message };
      summaries.push({ name, classes: [], splits: {}, problems: [problem] });
    }
  }
  return summaries;
}

/**
 * Forgets a dataset and removes the copies of its images, if it has any; the user's own files stay as they are.
 * @throws Failure `no-dataset`
 */
export async function removeDataset(workspace: Workspace, name: string): Promise<void> {
  const folder = workspace.dataset(name);
  if (!(await hasDataset(workspace, name))) throw noDataset(name);
  await sweepDatasets(workspace);
  await inWorkspace(workspace, async () => [await setAside(workspace, folder)]);
  await dropCheckJournal(workspace, name);
}

async function readRecord(workspace: Workspace, name: string): Promise<DatasetRecord> {
  const path = join(workspace.dataset(name), 'dataset.json');
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (errorCode(error) === 'ENOENT') throw noDataset(name);
    throw damaged(path, name, error);
  }
  try {
    // The folder's name counts: a person may have renamed or copied it.
    return { ...recordSchema.parse(parseSealed(text)), name };
  } catch (error) {
    throw damaged(path, name, error);
  }
}

function noDataset(name: string): Failure {
  return new Failure('no-dataset', `There is no dataset "${name}" in the workspace: see "sidetune datasets list".`);
}

function damaged(path: string, name: string, cause?: unknown): Failure {
  const advice = `remove the dataset "${name}" and add it again`;
  return new Failure('damaged-file', `"${path}" is damaged: ${advice}.`, { cause });
}

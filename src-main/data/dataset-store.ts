import { createHash } from 'node:crypto';
import { readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { z } from 'zod';
import { Failure } from '../base/failure.ts';
import { errorCode, readJsonLines, temporaryName, writeFileAtomic } from '../workspace/atomic.ts';
import { parseSealed, sealed } from '../workspace/record.ts';
import { sweepTemporaries } from '../workspace/sweep.ts';
import type { Workspace } from '../workspace/workspace.ts';
import { countSplits, datasetFormatSchema, datasetImageSchema, pathOf, problemSchema, splitNames } from './dataset.ts';
import type { Dataset, DatasetSummary } from './dataset.ts';

/*
 * A dataset in the workspace: dataset.json says what it is and names the list, which holds an image a line. The list is
 * named by its content, so that an entry is replaced in one step: when dataset.json is.
 */

const listName = /^images(-[0-9a-f]+)?\.jsonl$/;

const recordSchema = z.object({
  version: z.literal(1),
  name: z.string(),
  source: z.string(),
  file: z.string().optional(),
  format: datasetFormatSchema,
  classes: z.array(z.string()),
  images: z.int().nonnegative(),
  list: z.string().regex(listName).default('images.jsonl'),
  splits: z.partialRecord(z.enum(splitNames), z.int()),
  problems: z.array(problemSchema),
});
type DatasetRecord = z.infer<typeof recordSchema>;

/** Writes a dataset's entry, or replaces the one of its name. */
export async function saveDataset(workspace: Workspace, dataset: Dataset): Promise<void> {
  const { images, ...rest } = dataset;
  const folder = workspace.dataset(dataset.name);
  await sweepTemporaries(folder);
  const lines = images.map((image) => `${JSON.stringify(image)}\n`).join('');
  const list = `images-${hashOf(lines)}.jsonl`;
  const splits = countSplits(images);
  const record: DatasetRecord = { version: 1, ...rest, images: images.length, list, splits };
  await writeFileAtomic(join(folder, list), lines);
  // From here on the entry is the new one; before, it is the old one or none.
  await writeFileAtomic(join(folder, 'dataset.json'), `${JSON.stringify(sealed(record), null, 2)}\n`);
  const others = (await readdir(folder)).filter((name) => listName.test(name) && name !== list);
  await Promise.all(others.map((name) => rm(join(folder, name), { force: true })));
}

/** @throws Failure `no-dataset`, or `damaged-file` where its files were harmed */
export async function loadDataset(workspace: Workspace, name: string): Promise<Dataset> {
  const { version: _version, splits: _splits, images: count, list, ...rest } = await readRecord(workspace, name);
  const path = join(workspace.dataset(name), list);
  const lines = await readList(path).catch((error: unknown) => {
    throw damaged(path, name, error);
  });
  const images = z.array(datasetImageSchema).safeParse(lines);
  const whole = images.success && images.data.length === count;
  if (!whole || images.data.some((image) => image.label >= rest.classes.length)) throw damaged(path, name);
  return { ...rest, images: images.data };
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
 * Forgets a dataset; the user's own files stay as they are.
 * @throws Failure `no-dataset`
 */
export async function removeDataset(workspace: Workspace, name: string): Promise<void> {
  const folder = workspace.dataset(name);
  if (!(await hasDataset(workspace, name))) throw noDataset(name);
  await sweepTemporaries(workspace.datasets);
  const doomed = temporaryName(folder);
  await rename(folder, doomed);
  await rm(doomed, { recursive: true });
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

import { realpath, stat } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { basename, extname, resolve } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { Failure } from '../base/failure.ts';
import type { TaskOptions } from '../base/progress.ts';
import { checkName, safeName } from '../workspace/names.ts';
import type { Workspace } from '../workspace/workspace.ts';
import { CheckJournal, checkJournalOf, dropCheckJournal } from './check-journal.ts';
import { findClassProblems, findDuplicates } from './checks.ts';
import { mapConcurrently } from './concurrent.ts';
import { withoutContradictions } from './contradictions.ts';
import { copyImages, pathInCopy } from './copy-images.ts';
import type { Dataset, DatasetFormat, DatasetImage, Problem } from './dataset.ts';
import { isSameFile, locate } from './dataset.ts';
import {
  datasetSource,
  datasetsOf,
  hasDataset,
  isCopied,
  loadImported,
  saveCopiedDataset,
  saveDataset,
  withEdits,
} from './dataset-store.ts';
import type { Decoder } from './decode/decoder.ts';
import { changesInWords } from './import-remarks.ts';
import type { ImageReference } from './image-reference.ts';
import type { FoundImage } from './layouts/layout.ts';
import { chooseLayout } from './sniff.ts';
import { stratifiedSplit } from './split.ts';

export interface ImportSettings {
  /** The folder's name when left out. */
  name?: string;
  format?: DatasetFormat | 'auto';
  /** Whether the images are copied into the workspace; those of an entry that is a copy always are. */
  copy?: boolean;
  /** Of the 80/20 deal into train and val where the layout gives none. */
  seed?: number;
}

/** An image that was read and can be decoded; its split may be open. */
type CheckedImage = Omit<DatasetImage, 'split'> & Pick<FoundImage, 'split'>;

/**
 * Takes a folder of labelled images into the workspace, by reference or as a copy: every image is hashed and decoded
 * once, bad ones are listed as problems and left out, and the user's files are only read. The same folder again keeps
 * its entry (what changed since is read anew) and its edits. An import that was cut short goes on with what it had not
 * checked.
 * @returns the dataset with its edits
 * @throws Failure `dataset` where the folder fits no layout, or a class ends up empty; `name-taken`; of `copyImages`
 */
export async function importDataset(
  workspace: Workspace,
  path: string,
  settings: ImportSettings,
  options: TaskOptions & { decoder: Decoder },
): Promise<Dataset> {
  const given = resolve(path);
  const real = await realpath(given).catch(() => given);
  const { layout, place } = await chooseLayout(real, settings.format ?? 'auto');
  const { root: source, file } = place;
  const { name, known } = await findEntry(workspace, real, settings.name ?? nameFor(given, file), settings.name);
  const scan = await layout.scan(place, options.signal);
  const journal = await CheckJournal.open(checkJournalOf(workspace, name));
  if (scan.remark !== undefined && (settings.format ?? 'auto') === 'auto') options.onRemark?.(scan.remark);
  const { images: found, problems: contradictions } = withoutContradictions(source, scan.classes, scan.images);
  const { images: checked, problems } = await checkImages(source, found, { known, journal }, options);
  const missing = problems.filter(({ kind }) => kind === 'missing-file');
  if (missing.length > 0 && missing.length === found.length)
    throw new Failure(
      'dataset',
      `None of the ${missing.length} images that are named in "${real}" exists, the first being "${missing[0]!.path}": their paths are taken from "${source}".`,
    );
  const classProblems = findClassProblems(source, scan.classes, found, checked);
  const images = dealSplits(checked, settings.seed ?? 1);
  if (!images.some((image) => image.split === 'train'))
    throw new Failure('dataset', `"${source}" has no image to train on that can be read.`);
  const dataset: Dataset = {
    name,
    source,
    ...(file === undefined ? {} : { file }),
    format: layout.format,
    classes: scan.classes,
    images,
    problems: [...scan.problems, ...contradictions, ...problems, ...classProblems, ...findDuplicates(source, images)],
  };
  const changes = known && changesInWords(known, dataset, ({ path }) => placeInEntry(source, known, path));
  if (changes !== undefined) options.onRemark?.(changes);
  const copied = settings.copy || known?.copyOf !== undefined || (await isCopied(workspace, name).catch(() => false));
  const kept = copied ? await keepCopied(workspace, dataset, known, options) : dataset;
  if (!copied && !isDeepStrictEqual(dataset, known)) await saveDataset(workspace, dataset);
  await dropCheckJournal(workspace, name);
  return withEdits(workspace, kept);
}

async function keepCopied(
  workspace: Workspace,
  dataset: Dataset,
  known: Dataset | undefined,
  options: TaskOptions,
): Promise<Dataset> {
  const copied = await copyImages(workspace, dataset, known, options);
  if (copied) return saveCopiedDataset(workspace, { ...dataset, images: copied.images }, copied.folder);
  // All that may have changed is what is said of the images: their classes and splits.
  const { source, images: files } = known!;
  const kept = new Map(files.map((image) => [image.path, image]));
  const images = dataset.images.map((image) => {
    const path = pathInCopy(dataset.source, image.path);
    const { bytes, mtimeMs } = kept.get(path)!;
    return { ...image, path, bytes, mtimeMs };
  });
  const same: Dataset = { ...dataset, source, copyOf: dataset.source, images };
  if (!isDeepStrictEqual(same, known)) await saveDataset(workspace, same);
  return same;
}

/** A folder's name, or a file's without its ending. */
function nameFor(given: string, file: string | undefined): string {
  return safeName(file === undefined ? basename(given) : basename(given, extname(given)));
}

/** Of the datasets of a path, the one that is called as it is, else one by reference, else a copy. */
async function entryOf(workspace: Workspace, source: string, own: string): Promise<string | undefined> {
  const names = await datasetsOf(workspace, source);
  return names.includes(own) ? own : names[0];
}

/** The dataset that a path without a name stands for, where it has been imported before. */
export async function knownEntry(workspace: Workspace, path: string): Promise<string | undefined> {
  const given = resolve(path);
  const real = await realpath(given).catch(() => given);
  const isFile = await stat(real).then(
    (status) => status.isFile(),
    () => false,
  );
  return entryOf(workspace, real, nameFor(given, isFile ? real : undefined));
}

async function findEntry(workspace: Workspace, source: string, name: string, asked: string | undefined) {
  if (asked === undefined) {
    const other = await entryOf(workspace, source, name);
    if (other !== undefined) return { name: other, known: await loadKnown(workspace, other) };
  }
  checkName('dataset', name);
  const taken = await datasetSource(workspace, name);
  if (taken !== undefined && taken !== source)
    throw new Failure(
      'name-taken',
      `The name "${name}" is taken by the dataset of "${taken}": give another with --name, or remove that one first.`,
    );
  return { name, known: await loadKnown(workspace, name) };
}

/** The entry as it was; a damaged one is written anew. */
async function loadKnown(workspace: Workspace, name: string): Promise<Dataset | undefined> {
  if (!(await hasDataset(workspace, name))) return undefined;
  return loadImported(workspace, name).catch(() => undefined);
}

async function checkImages(
  source: string,
  found: readonly FoundImage[],
  { known, journal }: { known: Dataset | undefined; journal: CheckJournal },
  { decoder, onProgress, signal }: TaskOptions & { decoder: Decoder },
): Promise<{ images: CheckedImage[]; problems: Problem[] }> {
  const knownImages = new Map(known?.images.map((image) => [keyOf(image), image]));
  const keyInEntry = (image: ImageReference): string =>
    keyOf({ ...image, path: placeInEntry(source, known, image.path) });
  let done = 0;
  const checked = await mapConcurrently(
    found,
    2 * availableParallelism(),
    async (image) => {
      const result = await checkImage(source, image, knownImages.get(keyInEntry(image)), journal, decoder);
      onProgress?.({ task: 'check images', done: ++done, total: found.length, unit: 'images' });
      return result;
    },
    signal,
  ).finally(() => journal.flush());
  const images: CheckedImage[] = [];
  const problems: Problem[] = [];
  for (const result of checked) {
    if ('kind' in result) problems.push(result);
    else images.push(result);
  }
  return { images, problems };
}

/** The path under which an entry has an image of its source. */
function placeInEntry(source: string, known: Dataset | undefined, path: string): string {
  return known?.copyOf === undefined ? path : pathInCopy(source, path);
}

const keyOf = ({ path, entry }: ImageReference): string => `${entry ?? ''} ${path}`;

async function checkImage(
  source: string,
  found: FoundImage,
  known: DatasetImage | undefined,
  journal: CheckJournal,
  decoder: Decoder,
): Promise<CheckedImage | Problem> {
  const file = locate({ source }, found);
  const status = await stat(file.path).catch(() => undefined);
  if (!status)
    return { kind: 'missing-file', path: file.path, message: `"${file.path}" does not exist and was left out.` };
  if (!status.isFile())
    return { kind: 'not-file', path: file.path, message: `"${file.path}" is no file and was left out.` };
  const { size: bytes, mtimeMs } = status;
  if (known && isSameFile(known, bytes, mtimeMs)) return { ...found, bytes, mtimeMs, sha256: known.sha256 };
  const checked = journal.hashOf(file, bytes, mtimeMs);
  if (checked !== undefined) return { ...found, bytes, mtimeMs, sha256: checked };
  try {
    const sha256 = await decoder.check(file);
    journal.add({ ...file, bytes, mtimeMs, sha256 });
    return { ...found, bytes, mtimeMs, sha256 };
  } catch (error) {
    if (!(error instanceof Failure) || error.code !== 'image') throw error;
    return { kind: 'bad-image', path: file.path, message: error.message };
  }
}

function dealSplits(checked: readonly CheckedImage[], seed: number): DatasetImage[] {
  const open = checked.filter((image) => image.split === undefined);
  const dealt = stratifiedSplit(open, 0.2, seed);
  const splits = new Map(open.map((image, index) => [image, dealt[index]!]));
  return checked.map((image) => ({ ...image, split: image.split ?? splits.get(image)! }));
}

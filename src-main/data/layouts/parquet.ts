import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { Failure } from '../../base/failure.ts';
import type { Problem, SplitName } from '../dataset.ts';
import { ParquetFile } from '../packed/parquet-file.ts';
import { checkClassNames, checkLabel, findUnusedClasses, numberedClasses, sortedClasses } from './classes.ts';
import { openTrainWithoutVal, splitOf, type FoundImage, type Layout, type Place, type Scan } from './layout.ts';

/*
 * Parquet as it lies on the Hugging Face hub: train-00000-of-00002.parquet and the like, in the folder or in its data/;
 * a column of pictures, and one of labels whose names stand in the file's notes.
 */

const isParquet = (name: string): boolean => name.toLowerCase().endsWith('.parquet') && !name.startsWith('.');
const shardName = /^(.*)-(\d{5})-of-(\d{5})/;

export const parquetLayout: Layout = {
  format: 'parquet',
  async recognises({ root, file }) {
    return file !== undefined ? isParquet(file) : (await parquetFiles(root)).length > 0;
  },
  scan: scanParquet,
};

async function scanParquet({ root, file }: Place, signal?: AbortSignal): Promise<Scan> {
  const files = file !== undefined ? [file] : await parquetFiles(root);
  if (files.length === 0)
    throw new Failure('dataset', `"${root}" holds no parquet files, and neither does a folder "data" in it.`);
  const splits = files.map((name) => (file === undefined ? splitOfFile(name) : undefined));
  const problems = missingShards(root, files);
  let names: string[] | undefined;
  const rows: LabelledRow[] = [];
  for (const [index, name] of files.entries()) {
    signal?.throwIfAborted();
    const path = join(root, name);
    // Beside files that say their split, one that says another (extra, unsupervised) is no training data.
    if (splits[index] === undefined && splits.some((split) => split !== undefined)) {
      const message = `"${path}" is of no split by its name (train, validation, test) and was left out.`;
      problems.push({ kind: 'no-split', path, message });
      continue;
    }
    const labelled = await readLabels(path);
    if (names && labelled.names && names.join('\n') !== labelled.names.join('\n'))
      throw new Failure('dataset', `"${path}" names other classes than "${join(root, files[0]!)}".`);
    names ??= labelled.names;
    for (const { entry, label } of labelled.rows) rows.push({ path: name, entry, label, split: splits[index] });
    problems.push(...labelled.problems);
  }
  const found = withClasses(rows, names);
  checkClassNames(found.classes, root);
  problems.push(...findUnusedClasses(found.classes, found.images, root));
  return { classes: found.classes, images: openTrainWithoutVal(found.images), problems };
}

/** Names relative to the root, sorted: those that lie in it, else those in its data/. */
async function parquetFiles(root: string): Promise<string[]> {
  for (const prefix of ['', 'data/']) {
    const names = (await readdir(join(root, prefix)).catch(() => [])).filter(isParquet).sort();
    if (names.length > 0) return names.map((name) => `${prefix}${name}`);
  }
  return [];
}

function splitOfFile(name: string): SplitName | undefined {
  return splitOf(/^(?:data\/)?([a-z]+)/i.exec(name)?.[1] ?? '');
}

/** Half a download is a smaller set than it says it is. */
function missingShards(root: string, files: readonly string[]): Problem[] {
  const promised = new Map<string, number>();
  for (const name of files) {
    const shard = shardName.exec(name);
    if (shard) promised.set(shard[1]!, Number(shard[3]));
  }
  return [...promised].flatMap(([prefix, count]) => {
    const there = files.filter((name) => shardName.exec(name)?.[1] === prefix).length;
    if (there >= count) return [];
    const message = `Of the ${count} files of "${join(root, prefix)}" ${count - there} are missing.`;
    return [{ kind: 'missing-file', path: join(root, prefix), message }];
  });
}

/** A number, or a name where the column holds text. */
type Label = number | string;

interface LabelledRow {
  path: string;
  entry: number;
  label: Label;
  split: SplitName | undefined;
}

interface Labelled {
  names: string[] | undefined;
  rows: { entry: number; label: Label }[];
  problems: Problem[];
}

const featuresSchema = z.object({
  info: z.object({ features: z.record(z.string(), z.looseObject({ _type: z.string().optional() })) }),
});

async function readLabels(path: string): Promise<Labelled> {
  const file = await ParquetFile.open(path);
  const columns = file.columns.join(', ');
  if (file.imageColumn === undefined)
    throw new Failure(
      'dataset',
      `"${path}" has no column of pictures (a struct with "bytes"): its columns are ${columns}.`,
    );
  const classLabels = namedLabels(file);
  const usual = ['label', 'labels', 'class'].find((name) => file.columns.includes(name));
  const column = usual ?? classLabels.keys().next().value;
  if (column === undefined)
    throw new Failure('dataset', `"${path}" has no column "label": its columns are ${columns}.`);
  const names = classLabels.get(column);
  const rows: Labelled['rows'] = [];
  let entry = 0;
  let unlabelled = 0;
  for await (const values of file.column(column)) {
    for (const value of values) {
      const label = labelOf(value, `row ${entry} of "${path}"`, names);
      if (label === undefined) unlabelled++;
      else rows.push({ entry, label });
      entry++;
    }
  }
  const message = `${unlabelled} of ${entry} rows of "${path}" have no label and were left out.`;
  return { names, rows, problems: unlabelled > 0 ? [{ kind: 'no-label', path, message }] : [] };
}

/** Columns of the type ClassLabel, with the names of their classes. */
function namedLabels(file: ParquetFile): Map<string, string[]> {
  const found = new Map<string, string[]>();
  const parsed = featuresSchema.safeParse(parseJson(file.note('huggingface')));
  for (const [column, feature] of Object.entries(parsed.data?.info.features ?? {})) {
    const names = z.array(z.string()).safeParse(feature.names);
    if (feature._type === 'ClassLabel' && names.success) found.set(column, names.data);
  }
  return found;
}

function parseJson(text: string | undefined): unknown {
  try {
    return JSON.parse(text ?? 'null');
  } catch {
    return null;
  }
}

/** Undefined where there is none; -1 is what `datasets` writes for that. */
function labelOf(value: unknown, where: string, names: readonly string[] | undefined): Label | undefined {
  if (value === null || value === undefined || value === '' || Number(value) === -1) return undefined;
  if (value instanceof Uint8Array) return labelOf(Buffer.from(value).toString('utf8'), where, names);
  if (typeof value === 'string') return names ? checkLabel(names.indexOf(value), names, where, 'the file') : value;
  if (typeof value !== 'number' && typeof value !== 'bigint')
    throw new Failure('dataset', `The label in ${where} is neither a number nor a name.`);
  return checkLabel(Number(value), names, where, 'the file');
}

function withClasses(
  rows: readonly LabelledRow[],
  names: string[] | undefined,
): { classes: string[]; images: FoundImage[] } {
  const numbered = rows.flatMap((row) => (typeof row.label === 'number' ? [{ ...row, label: row.label }] : []));
  if (names || numbered.length === rows.length)
    return { classes: names ?? numberedClasses(numbered), images: numbered };
  const classes = sortedClasses(rows.map(({ label }) => String(label)));
  const labels = new Map(classes.map((name, label) => [name, label]));
  return { classes, images: rows.map((row) => ({ ...row, label: labels.get(String(row.label))! })) };
}

import { readdir, readFile } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { CsvError, parse } from 'csv-parse/sync';
import { Failure } from '../../base/failure.ts';
import { checkClassNames, sortedClasses } from './classes.ts';
import {
  openTrainWithoutVal,
  plainFolders,
  splitOf,
  type FoundImage,
  type Layout,
  type Place,
  type Scan,
} from './layout.ts';

/*
 * CSV with a header: a column of image paths, relative to the file's folder, one of class names, and perhaps one of
 * splits. Several files are splits by their names (train.csv, val.csv, test.csv).
 */

const columnNames = {
  path: ['path', 'image', 'filename', 'file_name', 'file', 'filepath', 'file_path', 'image_path'],
  label: ['label', 'class', 'class_name'],
  split: ['split'],
};
const delimiters = [',', ';', '\t'];

export const csvLayout: Layout = {
  format: 'csv',
  async recognises({ root, file }) {
    if (file !== undefined) return isCsv(file);
    return (await csvFiles(root)).length > 0;
  },
  scan: scanCsv,
};

async function scanCsv({ root, file }: Place): Promise<Scan> {
  const files = file !== undefined ? [file] : await csvFiles(root);
  const splits = files.map((name) => splitOf(name.slice(0, -extname(name).length)));
  if (files.length === 0)
    throw new Failure('dataset', `"${root}" holds no CSV file with the columns "path" and "label".`);
  if (files.length > 1 && splits.includes(undefined))
    throw new Failure(
      'dataset',
      `"${root}" holds several CSV files (${files.join(', ')}): give the path of the one that is meant, or name them train.csv, val.csv and test.csv.`,
    );
  const rows: Row[] = [];
  for (const [index, name] of files.entries()) {
    const path = join(root, name);
    for (const row of parseRows(path, await readCsv(path)))
      rows.push({ ...row, split: row.split ?? (files.length > 1 ? splits[index] : undefined) });
  }
  const classes = sortedClasses(rows.map(({ label }) => label));
  checkClassNames(classes, files.length === 1 ? join(root, files[0]!) : root);
  const labels = new Map(classes.map((name, label) => [name, label]));
  const images = rows.map(({ path, label, split }): FoundImage => ({ path, label: labels.get(label)!, split }));
  const folders = file === undefined ? await plainFolders(root) : [];
  const remark = `"${root}" is read as ${files.join(', ')} says, and not by its ${folders.length} folders: --format folder takes those for the classes.`;
  return { classes, images: openTrainWithoutVal(images), problems: [], ...(folders.length > 1 ? { remark } : {}) };
}

const isCsv = (name: string): boolean => ['.csv', '.tsv'].includes(extname(name).toLowerCase());

/** The CSV files of a folder whose header names the columns, sorted. */
async function csvFiles(root: string): Promise<string[]> {
  const fitting: string[] = [];
  for (const name of (await readdir(root)).filter((name) => isCsv(name) && !name.startsWith('.')).sort()) {
    const records = await readCsv(join(root, name), 1).catch(() => undefined);
    if (records && findColumns(records.header)) fitting.push(name);
  }
  return fitting;
}

interface Records {
  header: string[];
  rows: { record: string[]; line: number }[];
}

/** Reads a file with whichever delimiter gives the columns. @throws Failure `dataset` */
async function readCsv(path: string, lines?: number): Promise<Records> {
  const bytes = await readFile(path).catch((error: unknown) => {
    throw new Failure('dataset', `"${path}" cannot be read: check its permissions.`, { cause: error });
  });
  let best: Records | undefined;
  for (const delimiter of delimiters) {
    const header = parseRecords(path, bytes, delimiter, 1)[0]?.record ?? [];
    if (!best || findColumns(header)) best = { header, rows: [] };
    if (!findColumns(header)) continue;
    if (lines === undefined) best.rows = parseRecords(path, bytes, delimiter).slice(1);
    break;
  }
  return best!;
}

function parseRecords(path: string, bytes: Buffer, delimiter: string, most?: number): Records['rows'] {
  try {
    // Its types know the shape that `info` gives only for literal options.
    const found = parse(bytes, {
      bom: true,
      delimiter,
      info: true,
      relax_column_count: true,
      skip_empty_lines: true,
      ...(most === undefined ? {} : { to: most }),
    }) as unknown as { record: string[]; info: { lines: number } }[];
    return found.map(({ record, info }) => ({ record, line: info.lines }));
  } catch (error) {
    if (!(error instanceof CsvError)) throw error;
    const reason = error.message.split('\n', 1)[0]!.replace(/\.$/, '');
    throw new Failure('dataset', `"${path}" is not well-formed CSV: ${reason}.`, { cause: error });
  }
}

interface Columns {
  path: number;
  label: number;
  /** -1 where there is none. */
  split: number;
}

function findColumns(header: readonly string[]): Columns | undefined {
  const folded = header.map((name) => name.trim().toLowerCase());
  const find = (names: readonly string[]) => folded.findIndex((name) => names.includes(name));
  const columns = { path: find(columnNames.path), label: find(columnNames.label), split: find(columnNames.split) };
  return columns.path >= 0 && columns.label >= 0 ? columns : undefined;
}

interface Row {
  path: string;
  label: string;
  split: FoundImage['split'];
}

function parseRows(file: string, { header, rows }: Records): Row[] {
  const columns = findColumns(header);
  if (!columns)
    throw new Failure(
      'dataset',
      `The first line of "${file}" has to name a column "path" and one "label", but it is ${JSON.stringify(header.join(','))}.`,
    );
  return rows.map(({ record, line }) => {
    const where = `line ${line} of "${file}"`;
    const cell = (column: number, what: string) => {
      const text = record[column]?.trim() ?? '';
      if (text === '') throw new Failure('dataset', `There is no ${what} in ${where}.`);
      return text;
    };
    const path = cell(columns.path, 'path of an image');
    const label = cell(columns.label, 'label');
    if (columns.split < 0) return { path: withSlashes(path), label, split: undefined };
    const word = cell(columns.split, 'split');
    const split = statedSplit(word);
    if (!split)
      throw new Failure(
        'dataset',
        `The split ${JSON.stringify(word)} in ${where} is none of train, val (or validation) and test.`,
      );
    return { path: withSlashes(path), label, split };
  });
}

/** A column says what it means; only names of folders and files are guessed at. */
function statedSplit(word: string): FoundImage['split'] {
  return /^(train|val|validation|test)$/i.test(word) ? splitOf(word) : undefined;
}

/** Written on Windows, read elsewhere. */
function withSlashes(path: string): string {
  return path.includes('/') ? path : path.replaceAll('\\', '/');
}

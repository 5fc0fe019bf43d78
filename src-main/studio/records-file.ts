/** Tables that a user takes away: a record a line, as CSV or as a JSON list. */
import { extname } from 'node:path';
import { Failure } from '../base/failure.ts';
import { writeFileAtomic } from '../workspace/atomic.ts';
import { checkOutputFile } from './output-file.ts';

/** Null where a record has nothing to say in a column. */
export type Cell = string | number | boolean | null;

/** Records of a part that is encoded and handed on together. */
const PART = 10_000;

/**
 * Checks early that records can be written to a path. @returns it, absolute
 * @throws Failure `usage` for another ending than .csv or .json; `bad-out` where a folder is in its place or a file is
 * in that of its folder
 */
export async function checkRecordsPath(path: string): Promise<string> {
  if (!/^\.(csv|json)$/i.test(extname(path)))
    throw new Failure('usage', `"${path}" has to end in .csv or .json, which says how it is written.`);
  return checkOutputFile(path);
}

/**
 * Writes records, whole or not at all: CSV (RFC 4180, with a line of column names) or a JSON list of objects, by the
 * path's ending.
 * @throws Failure `disk-full`
 */
export async function writeRecords<Column extends string>(
  path: string,
  columns: readonly Column[],
  records: readonly Readonly<Record<Column, Cell>>[],
): Promise<void> {
  const json = extname(path).toLowerCase() === '.json';
  const line = (record: Readonly<Record<Column, Cell>>): string =>
    json
      ? JSON.stringify(Object.fromEntries(columns.map((column) => [column, record[column]])))
      : columns.map((column) => csvCell(record[column])).join(',');
  const separator = json ? ',\n' : '\n';
  const parts: Uint8Array[] = [Buffer.from(json ? '[\n' : `${columns.join(',')}\n`)];
  for (let first = 0; first < records.length; first += PART) {
    const some = records.slice(first, first + PART).map(line);
    const isLast = first + PART >= records.length;
    parts.push(Buffer.from(some.join(separator) + (isLast ? '\n' : separator)));
  }
  if (json) parts.push(Buffer.from(']\n'));
  await writeFileAtomic(path, parts);
}

function csvCell(cell: Cell): string {
  const text = cell === null ? '' : String(cell);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

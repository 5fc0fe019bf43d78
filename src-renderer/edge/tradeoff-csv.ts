import type { Tradeoff } from './edge.svelte.ts';

type Row = Tradeoff['rows'][number];

const COLUMNS: [string, (row: Row) => string | number | undefined][] = [
  ['features', ({ features }) => features],
  ['upto', ({ upto }) => upto],
  ['datatype', ({ datatype }) => datatype],
  ['bytesPerImage', ({ bytesPerImage }) => bytesPerImage],
  ['measuredUp', ({ measured }) => measured.up],
  ['measuredDown', ({ measured }) => measured.down],
  ['val', ({ val }) => val?.top1],
  ['test', ({ test }) => test?.top1],
];

/** The table as `sidetune edge tradeoff --out FILE.csv` writes it. */
export function tradeoffAsCsv(rows: readonly Row[]): string {
  const lines = [COLUMNS.map(([name]) => name), ...rows.map((row) => COLUMNS.map(([, of]) => of(row) ?? ''))];
  return lines.map((line) => `${line.join(',')}\n`).join('');
}

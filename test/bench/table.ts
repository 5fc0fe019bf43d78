import type { Ratio, SideSummary, Spread } from './measure.ts';
import type { Row } from './outcome.ts';

const mebibytes = (bytes: number) => (bytes / 2 ** 20).toFixed(0);
const span = ({ median, min, max }: Spread, digits: number) =>
  `${median.toFixed(digits)} (${min.toFixed(digits)} to ${max.toFixed(digits)})`;

/** A text table, one line a side: median (min to max). */
export function sidesTable(sides: Readonly<Record<string, SideSummary>>): string {
  const rows = Object.entries(sides).map(([name, side]) => [
    name,
    span(side.ms, 1),
    side.coreMsPerImage ? span(side.coreMsPerImage, 2) : '',
    `${mebibytes(side.peakRssBytes.median)} (to ${mebibytes(side.peakRssBytes.max)})`,
    String(side.processes),
  ]);
  return columns([['side', 'ms a step', 'core-ms an image', 'peak MiB', 'processes'], ...rows]);
}

export function ratiosTable(ratios: Readonly<Record<string, Ratio>>): string {
  const rows = Object.entries(ratios).map(([name, { time, fastest, memory }]) => [
    name,
    `${time.toFixed(2)} x`,
    `${fastest.toFixed(2)} x`,
    `${memory.toFixed(2)} x`,
  ]);
  return columns([['ratio', 'time', 'of fastest', 'memory'], ...rows]);
}

/** The table of numbers to reach, in Markdown. */
export function rowsTable(rows: readonly Row[]): string {
  const said = { true: 'yes', false: '**no**', null: 'not measured' };
  const cells = [
    ['what', 'asked', 'measured', 'reached'],
    ['-', '-', '-', '-'],
    ...rows.map(({ what, asked, measured, reached }) => [what, asked, measured, said[`${reached}`]]),
  ];
  return cells.map((row) => `| ${row.join(' | ')} |`).join('\n');
}

export function columns(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column]!))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** The trials of a sweep as a table to take away, as `sidetune sweep export` writes them. */
import type { Trial } from './trials.ts';

type Cell = string | number | null;

const MEASURED = [
  ['val_top1', ({ value }: Trial) => value],
  ['val_loss', ({ loss }: Trial) => loss],
  ['best_epoch', ({ bestEpoch }: Trial) => bestEpoch],
  ['epochs', ({ epochs }: Trial) => epochs],
  ['parameters', ({ parameters }: Trial) => parameters],
  ['head_parameters', ({ headParameters }: Trial) => headParameters],
  ['seconds', ({ seconds }: Trial) => seconds],
  ['peak_rss_bytes', ({ peakRssBytes }: Trial) => peakRssBytes],
  ['reason', ({ reason }: Trial) => reason],
  ['goes_on_with', ({ extension }: Trial) => extension?.of ?? null],
] as const;

/** A line for each trial under one of names. @param names settings that vary */
export function trialsAsCsv(names: readonly string[], trials: readonly Trial[]): string {
  const lines = [headingOf(names), ...trials.map((trial) => cellsOf(names, trial))];
  return lines.map((line) => `${line.map(quoted).join(',')}\n`).join('');
}

/** A list with an object for each trial, a line each. @param names settings that vary */
export function trialsAsJson(names: readonly string[], trials: readonly Trial[]): string {
  const heading = headingOf(names);
  const records = trials.map((trial) => {
    const cells = cellsOf(names, trial);
    return JSON.stringify(Object.fromEntries(heading.map((column, index) => [column, cells[index]])));
  });
  return `[\n${records.join(',\n')}\n]\n`;
}

function headingOf(names: readonly string[]): string[] {
  return ['trial', 'state', ...names, ...MEASURED.map(([column]) => column)];
}

function cellsOf(names: readonly string[], trial: Trial): Cell[] {
  return [
    trial.number,
    trial.state,
    ...names.map((name) => trial.point[name] ?? null),
    ...MEASURED.map(([, of]) => of(trial)),
  ];
}

function quoted(cell: Cell): string {
  const text = cell === null ? '' : String(cell);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

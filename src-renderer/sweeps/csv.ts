import type { Trial } from './trials.ts';

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
  ['goes_on_with', ({ extension }: Trial) => extension?.of],
] as const;

/** A line for each trial, as `sidetune sweep export` writes them. @param names settings that vary */
export function trialsAsCsv(names: readonly string[], trials: readonly Trial[]): string {
  const heading = ['trial', 'state', ...names, ...MEASURED.map(([name]) => name)];
  const lines = trials.map((trial) => [
    trial.number,
    trial.state,
    ...names.map((name) => trial.point[name]),
    ...MEASURED.map(([, of]) => of(trial)),
  ]);
  return [heading, ...lines].map((line) => `${line.map(cell).join(',')}\n`).join('');
}

function cell(value: string | number | null | undefined): string {
  const text = value == null ? '' : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** Runs in words and tables. */
import type { EpochMetrics, RunResult } from '../studio/contract.ts';
import { settingInWords, settingOf } from '../studio/runs.ts';
import type { Comparison, DamagedRun, ListedRun } from '../studio/runs.ts';
import { byteSize, counted, duration, grouped, milliseconds, percent, table } from './format.ts';
import { sparkline } from './sparkline.ts';

/** How a run is named on the command line, for help texts. */
export const RUN = 'the id of a run, the beginning of one, or "latest"';

/** What `train` says at its end. */
export function describeResult(result: RunResult): string {
  const { run, method, dataset, backbone, val, test, seconds, peakRssBytes } = result;
  const scores = [
    val &&
      `val top-1 ${percent(val.top1)} (macro ${percent(val.macro)}), best of ${counted(result.epochs, 'epoch')}: ${result.bestEpoch}`,
    test && `test top-1 ${percent(test.top1)} (macro ${percent(test.macro)}), after ${val ? 'that' : 'the last'} epoch`,
  ].filter((words) => words !== null);
  return [
    `${run}: ${method} on ${dataset}, backbone ${backbone}`,
    ...scores.map((words) => `  ${words}`),
    `  ${result.parameters > 0 ? `${grouped(result.parameters)} parameters and ${grouped(result.headParameters)}` : `${grouped(result.headParameters)} parameters, all of them`} in the head`,
    `  ${duration(seconds.total)}: ${duration(seconds.extract)} extracting, ${duration(seconds.train)} training`,
    `  peak memory: trainer ${byteSize(peakRssBytes.trainer)}${peakRssBytes.vit === null ? '' : `, ViT ${byteSize(peakRssBytes.vit)}`}`,
  ].join('\n');
}

/** All runs, and below them what is wrong with those that are damaged. */
export function runTable(runs: readonly (ListedRun | DamagedRun)[]): string {
  const rows = table(
    ['RUN', 'DATASET', 'METHOD', 'BACKBONE', 'VAL>', 'BEST EPOCH>', 'TEST>', 'PARAMETERS>', 'HEAD>', 'TIME>', 'STATE'],
    runs.map((run) => [
      run.run,
      run.dataset ?? '-',
      run.method ?? '-',
      run.backbone ?? '-',
      ...(run.state === 'damaged'
        ? ['-', '-', '-', trained(run.parameters), grouped(run.headParameters), '-', 'damaged']
        : [
            percent(run.val?.top1),
            bestOf(run),
            percent(run.test?.top1),
            trained(run.parameters),
            grouped(run.headParameters),
            duration(run.seconds?.total),
            run.state === 'done' ? 'done' : `unfinished, ${run.epochs} of ${String(run.settings.epochs)} epochs`,
          ]),
    ]),
  );
  const problems = runs.flatMap((run) => (run.state === 'damaged' ? [`${run.run}: ${run.problem}`] : []));
  return [rows, ...problems].join('\n');
}

/** A column for each setting that differs. */
export function comparisonTable({ runs, differing }: Comparison): string {
  return table(
    [
      'RUN',
      ...differing.map((name) => settingInWords(name).toUpperCase()),
      'VAL>',
      'BEST EPOCH>',
      'TEST>',
      'PARAMETERS>',
      'HEAD>',
      'TIME>',
      'MEMORY>',
    ],
    runs.map((run) => [
      run.run,
      ...differing.map((name) => inWords(settingOf(run, name))),
      percent(run.val?.top1),
      bestOf(run),
      percent(run.test?.top1),
      trained(run.parameters),
      grouped(run.headParameters),
      duration(run.seconds?.total),
      byteSize(run.peakRssBytes?.trainer),
    ]),
  );
}

/** What the demo shows: a line for each method. */
export function methodTable(runs: readonly RunResult[]): string {
  return table(
    ['METHOD', 'PARAMETERS>', 'HEAD>', 'VAL>', 'TEST>', 'SECONDS>', 'PEAK MB>'],
    runs.map((run) => [
      run.method,
      trained(run.parameters),
      grouped(run.headParameters),
      percent(run.val?.top1),
      percent(run.test?.top1),
      run.seconds.total.toFixed(1),
      grouped(Math.round(run.peakRssBytes.trainer / 1e6)),
    ]),
  );
}

/** How loss and val top-1 went, and where they stood first, best and last. */
export function curves(epochs: readonly EpochMetrics[]): string {
  const last = epochs.at(-1);
  if (!last) return 'No epoch is done yet.';
  const losses = epochs.map(({ loss }) => loss);
  const rows = [['loss', sparkline(losses), `${losses[0]!.toFixed(4)} to ${last.loss.toFixed(4)}`]];
  const scores = epochs.flatMap(({ val }) => (val ? [val.top1] : []));
  if (scores.length > 0) {
    const best = Math.max(...scores);
    const ends = `${percent(scores[0])} to ${percent(scores.at(-1))}`;
    rows.push(['val top-1', sparkline(scores), `${ends}, best ${percent(best)} at ${scores.indexOf(best) + 1}`]);
  }
  const seconds = epochs.reduce((sum, epoch) => sum + epoch.seconds, 0) / epochs.length;
  return `${table(['CURVE', `${epochs.length} EPOCHS`, 'FIRST TO LAST'], rows)}\n${milliseconds(seconds)} an epoch; each one is in metrics.jsonl, and in --json`;
}

/** Trained parameters beside the head; a linear probe has none. */
function trained(parameters: number | undefined): string {
  return parameters ? grouped(parameters) : '-';
}

function bestOf({ bestEpoch, epochs }: Pick<ListedRun, 'bestEpoch' | 'epochs'>): string {
  return bestEpoch === null ? '-' : `${bestEpoch} of ${epochs}`;
}

function inWords(value: unknown): string {
  return value == null ? '-' : typeof value === 'string' ? value : JSON.stringify(value);
}

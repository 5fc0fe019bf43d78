/** Runs in words and tables. */
import type { RunResult } from '../studio/contract.ts';
import { settingInWords, settingOf } from '../studio/runs.ts';
import type { Comparison, DamagedRun, ListedRun } from '../studio/runs.ts';
import { byteSize, duration, grouped, percent, table } from './format.ts';

/** What `train` says at its end. */
export function describeResult(result: RunResult): string {
  const { run, method, dataset, backbone, val, test, seconds, peakRssBytes } = result;
  const scores = [
    val &&
      `val top-1 ${percent(val.top1)} (macro ${percent(val.macro)}, best of ${result.epochs} epochs: ${result.bestEpoch})`,
    test && `test top-1 ${percent(test.top1)} (macro ${percent(test.macro)})`,
  ].filter((words) => words !== null);
  return [
    `${run}: ${method} on ${dataset}, backbone ${backbone}`,
    ...scores.map((words) => `  ${words}`),
    `  ${grouped(result.parameters)} parameters and ${grouped(result.headParameters)} in the head`,
    `  ${duration(seconds.total)}: ${duration(seconds.extract)} extracting, ${duration(seconds.train)} training`,
    `  peak memory: trainer ${byteSize(peakRssBytes.trainer)}${peakRssBytes.vit === null ? '' : `, ViT ${byteSize(peakRssBytes.vit)}`}`,
  ].join('\n');
}

/** All runs, and below them what is wrong with those that are damaged. */
export function runTable(runs: readonly (ListedRun | DamagedRun)[]): string {
  const rows = table(
    ['RUN', 'METHOD', 'BACKBONE', 'VAL>', 'TEST>', 'PARAMETERS>', 'TIME>', 'STATE'],
    runs.map((run) => [
      run.run,
      run.method ?? '-',
      run.backbone ?? '-',
      ...(run.state === 'damaged'
        ? ['-', '-', grouped(run.parameters), '-', 'damaged']
        : [
            percent(run.val?.top1),
            percent(run.test?.top1),
            grouped(run.parameters),
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
      'TEST>',
      'PARAMETERS>',
      'TIME>',
      'MEMORY>',
    ],
    runs.map((run) => [
      run.run,
      ...differing.map((name) => inWords(settingOf(run, name))),
      percent(run.val?.top1),
      percent(run.test?.top1),
      grouped(run.parameters),
      duration(run.seconds?.total),
      byteSize(run.peakRssBytes?.trainer),
    ]),
  );
}

/** What the demo shows: a line for each method. */
export function methodTable(runs: readonly RunResult[]): string {
  return table(
    ['METHOD', 'PARAMETERS>', 'VAL>', 'TEST>', 'SECONDS>', 'PEAK MB>'],
    runs.map((run) => [
      run.method,
      grouped(run.parameters),
      percent(run.val?.top1),
      percent(run.test?.top1),
      run.seconds.total.toFixed(1),
      grouped(Math.round(run.peakRssBytes.trainer / 1e6)),
    ]),
  );
}

function inWords(value: unknown): string {
  return value == null ? '-' : typeof value === 'string' ? value : JSON.stringify(value);
}

/** What edge tuning costs, in words and tables. */
import type { EdgeRunResult } from '../studio/edge/run-adaptor.ts';
import type { TradeoffRow } from '../studio/edge/tradeoff.ts';
import { byteSize, milliseconds, percent, table } from './format.ts';

/** Bytes and times of what was done, and beside them the other ways to do it. */
export function describeCosts({ bytes, bytesPerImage, seconds, joules, alternatives }: EdgeRunResult): string[] {
  return [
    [
      `Up ${byteSize(bytes.up)} (${byteSize(bytesPerImage.up)} an image), down ${byteSize(bytes.down)} (${byteSize(bytesPerImage.down)} an image)`,
      `Server ${milliseconds(seconds.server)}, network ${milliseconds(seconds.network)}, device ${milliseconds(seconds.device)}`,
      ...(joules === null ? [] : [`The processor used ${joules.toFixed(1)} J meanwhile, all that ran on it together`]),
    ].join('\n'),
    table(
      ['COMPUTED, EACH IMAGE', 'UP>', 'DOWN>', 'ONCE>', 'DECIDES'],
      alternatives.map(({ what, bytesUp, bytesDown, bytesOnce, decidesOnDevice }) => [
        what,
        byteSize(bytesUp),
        byteSize(bytesDown),
        bytesOnce > 0 ? byteSize(bytesOnce) : '-',
        decidesOnDevice ? 'device' : 'cloud',
      ]),
    ),
  ];
}

const FEATURES: Readonly<Record<TradeoffRow['features'], string>> = {
  cls: 'pooled rows',
  sum: 'sum up to',
  taps: 'all taps up to',
};

export function describeRow({ features, upto, datatype, bytesPerImage, val, repeats }: TradeoffRow): string {
  return `${FEATURES[features]} ${upto}, ${datatype}, ${byteSize(bytesPerImage)} an image: val top-1 ${meanScore(val, repeats?.val)}`;
}

/** With half the width of its 95 % interval, in points, where there is one. */
function meanScore(
  score: TradeoffRow['val'],
  interval: NonNullable<TradeoffRow['repeats']>['val'] | undefined,
): string {
  return interval
    ? `${percent(score?.top1)} ± ${(50 * (interval.high - interval.low)).toFixed(1)}`
    : percent(score?.top1);
}

export function tradeoffTable(rows: readonly TradeoffRow[]): string {
  return table(
    ['FEATURES', 'UPTO>', 'DATATYPE', 'DOWN AN IMAGE>', 'MEASURED>', 'UP>', 'VAL>', 'TEST>'],
    rows.map(({ features, upto, datatype, bytesPerImage, measured, val, test, repeats }) => [
      FEATURES[features],
      String(upto),
      datatype,
      byteSize(bytesPerImage),
      byteSize(measured.down),
      byteSize(measured.up),
      meanScore(val, repeats?.val),
      meanScore(test, repeats?.test),
    ]),
  );
}

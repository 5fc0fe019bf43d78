/** What edge tuning costs, in words and tables. */
import type { EdgeRunResult } from '../studio/edge-run.ts';
import { byteSize, duration, table } from './format.ts';

/** Bytes and times of what was done, and beside them the other ways to do it. */
export function describeCosts({ bytes, bytesPerImage, seconds, alternatives }: EdgeRunResult): string[] {
  return [
    [
      `Up ${byteSize(bytes.up)} (${byteSize(bytesPerImage.up)} an image), down ${byteSize(bytes.down)} (${byteSize(bytesPerImage.down)} an image)`,
      `Server ${duration(seconds.server)}, network ${duration(seconds.network)}, device ${duration(seconds.device)}`,
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

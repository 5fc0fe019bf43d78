/** What is typed into the form of a search space. */
import type { RequestOf } from '../../src-main/studio/service/calls.ts';

export type SpaceEntry = RequestOf<'sweeps.start'>['space'][string];

/** Beyond this ratio a range is searched by powers. */
const TENFOLD = 10;

/**
 * Values between commas, or a range: "4, 8, 16", "cls, mean", "0.0003..0.03".
 * @returns undefined where it is neither
 */
export function readEntry(text: string): SpaceEntry | undefined {
  const [, low, high] = /^\s*(\S+)\s*\.\.\s*(\S+)\s*$/.exec(text) ?? [];
  if (low !== undefined && high !== undefined) {
    const [min, max] = [Number(low), Number(high)];
    if (!(min < max)) return undefined;
    return { min, max, scale: min > 0 && max / min >= TENFOLD ? 'log' : 'linear' };
  }
  const values = text
    .split(',')
    .map((each) => each.trim())
    .filter((each) => each !== '')
    .map((each) => (Number.isFinite(Number(each)) ? Number(each) : each));
  return values.length > 0 ? values : undefined;
}

export function writeEntry(entry: SpaceEntry): string {
  if (typeof entry !== 'object') return String(entry);
  return Array.isArray(entry) ? entry.join(', ') : `${entry.min}..${entry.max}`;
}

import { measureLimit } from './limit.ts';
import { measureSides, ratio, type Ratio, type Side, type SideSummary, type Spread } from './measure.ts';
import { ratiosTable, rowsTable, sidesTable } from './table.ts';

/** A bench: what it compares. Ratios are named pairs [other, side]: other's figure / side's, above 1 is better. */
export interface Bench {
  about: string;
  sides: Record<string, Side>;
  ratios: Record<string, readonly [other: string, side: string]>;
  repeats: number;
  /** Batch at which the C yardstick is run beside it, where it can be. */
  limitBatch?: number;
  /** What is asked of it: its rows in the table of numbers to reach. */
  rows?: (outcome: Outcome) => Row[];
}

/** Makes a bench for a number of threads; whole where a small size of it would be the default. */
export type MakeBench = (threads: number, options?: { whole?: boolean }) => Bench;

export interface Outcome {
  sides: Record<string, SideSummary>;
  ratio: Record<string, Ratio>;
  /** Core-milliseconds an image, or why it could not be measured; absent where it was not asked for. */
  limit?: Spread | string;
}

/** A line of the table of numbers to reach. `reached` is null where it could not be measured. */
export interface Row {
  what: string;
  asked: string;
  measured: string;
  reached: boolean | null;
}

export async function runBench(bench: Bench, repeats: number, log: (line: string) => void): Promise<Outcome> {
  const limit = bench.limitBatch === undefined ? undefined : measureLimit(bench.limitBatch);
  const sides = await measureSides(bench.sides, repeats, log);
  return {
    sides,
    ratio: Object.fromEntries(
      Object.entries(bench.ratios).map(([key, [other, side]]) => [key, ratio(sides[other]!, sides[side]!)]),
    ),
    ...(limit === undefined ? {} : { limit: typeof limit === 'string' ? limit : limit.coreMsPerImage }),
  };
}

/** The tables of an outcome, as text. */
export function outcomeText(bench: Bench, { sides, ratio: ratios, limit }: Outcome): string {
  const parts = [sidesTable(sides)];
  if (Object.keys(ratios).length > 0) parts.push(ratiosTable(ratios));
  if (typeof limit === 'string') parts.push(`The limit is left out: ${limit}.`);
  else if (limit) parts.push(`The limit, ViT-Ti: ${limit.median} core-ms an image.`);
  const rows = bench.rows?.({ sides, ratio: ratios, limit }) ?? [];
  if (rows.length > 0) parts.push(rowsTable(rows));
  return parts.join('\n\n');
}

/** What `--json` prints: the limit is one of the sides. */
export function outcomeJson(name: string, bench: Bench, outcome: Outcome): Record<string, unknown> {
  const { sides, ratio: ratios, limit } = outcome;
  const extra = typeof limit === 'object' ? { limit: { coreMsPerImage: limit } } : {};
  return { name, sides: { ...sides, ...extra }, ratio: ratios, rows: bench.rows?.(outcome) ?? [] };
}

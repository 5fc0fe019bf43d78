/** Tables of accuracy against transfer that the window has asked for: kept row by row, so that none is lost. */
import { randomBytes } from 'node:crypto';
import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { Failure } from '../../base/failure.ts';
import { scoreSchema } from '../../training/run-folder.ts';
import { writeFileAtomic } from '../../workspace/atomic.ts';
import { parseSealed, sealed } from '../../workspace/record.ts';
import type { Workspace } from '../../workspace/workspace.ts';
import { edgeTradeoff, type TradeoffOptions, type TradeoffRow } from './tradeoff.ts';

const intervalSchema = z.object({ low: z.number(), high: z.number() }).nullable();
const rowSchema = z.object({
  features: z.enum(['cls', 'sum', 'taps']),
  upto: z.int(),
  datatype: z.enum(['fp32', 'fp16', 'int8']),
  bytesPerImage: z.number(),
  measured: z.object({ up: z.number(), down: z.number() }),
  val: scoreSchema.nullable(),
  test: scoreSchema.nullable(),
  run: z.string(),
  repeats: z.object({ runs: z.array(z.string()), val: intervalSchema, test: intervalSchema }).optional(),
}) satisfies z.ZodType<TradeoffRow>;

/** What a table is asked for. */
export const tradeoffRequestSchema = z.object({
  dataset: z.string().min(1),
  backbone: z.string().min(1),
  /** Blocks that the sums go up to. */
  upto: z.array(z.int().min(1)).min(1).optional(),
  epochs: z.int().min(1).optional(),
  limit: z.int().min(1).optional(),
  /** Leaves out LAST on all taps, which takes longest. */
  noTaps: z.boolean().optional(),
});
export type AskedTradeoff = z.infer<typeof tradeoffRequestSchema>;

const keptSchema = z.object({
  id: z.string().regex(/^[0-9a-f]{12}$/),
  created: z.iso.datetime(),
  request: tradeoffRequestSchema,
  /** Rows that it has in the end; null before that is known. */
  total: z.int().nullable(),
  rows: z.array(rowSchema),
});
export type KeptTradeoff = z.infer<typeof keptSchema>;

const folderOf = ({ root }: Workspace): string => join(root, 'tradeoffs');
const fileOf = (workspace: Workspace, id: string): string => join(folderOf(workspace), `${id}.json`);

/** Newest first; one that is damaged is left out: its runs are all there. */
export async function listTradeoffs(workspace: Workspace): Promise<KeptTradeoff[]> {
  const names = await readdir(folderOf(workspace)).catch(() => []);
  const ids = names.flatMap((name) => /^([0-9a-f]{12})\.json$/.exec(name)?.[1] ?? []);
  const all = await Promise.all(ids.map((id) => readTradeoff(workspace, id).catch(() => undefined)));
  return all.filter((each) => each !== undefined).sort((a, b) => b.created.localeCompare(a.created));
}

/** Its runs stay. */
export async function removeTradeoff(workspace: Workspace, id: string): Promise<void> {
  await rm(fileOf(workspace, id), { force: true });
}

/** A new table, nothing in it yet. */
export async function beginTradeoff(workspace: Workspace, request: AskedTradeoff): Promise<KeptTradeoff> {
  const created = new Date().toISOString();
  const begun: KeptTradeoff = { id: randomBytes(6).toString('hex'), created, request, total: null, rows: [] };
  await write(workspace, begun);
  return begun;
}

/**
 * Comes to the rows that a table lacks. `onRow` is told once each is kept.
 * @throws Failure `no-tradeoff`, and those of `edgeTradeoff`; the signal's reason
 */
export async function continueTradeoff(
  workspace: Workspace,
  id: string,
  { onRow, ...options }: Omit<TradeoffOptions, 'known'> = {},
): Promise<KeptTradeoff> {
  const begun = await readTradeoff(workspace, id);
  const { dataset, backbone, upto, noTaps, ...settings } = begun.request;
  let kept = Promise.resolve();
  const { rows } = await edgeTradeoff(
    workspace,
    { dataset, backbone, upto, noTaps, settings },
    {
      ...options,
      known: begun.rows,
      onRow: (row, done, total) => {
        if (done > begun.rows.length) begun.rows.push(row);
        begun.total = total;
        kept = kept.then(() => write(workspace, begun)).then(() => onRow?.(row, done, total));
        // Waited for in the end; until then it is nobody's.
        kept.catch(() => undefined);
      },
    },
  );
  await kept;
  return { ...begun, rows };
}

async function readTradeoff(workspace: Workspace, id: string): Promise<KeptTradeoff> {
  const file = fileOf(workspace, id);
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    throw new Failure('no-tradeoff', 'This table is no longer in the workspace: start another.', { cause: error });
  });
  try {
    return keptSchema.parse(parseSealed(text));
  } catch (error) {
    throw new Failure('damaged-file', `"${file}" is damaged: remove it; the runs of its table are all there.`, {
      cause: error,
    });
  }
}

async function write(workspace: Workspace, tradeoff: KeptTradeoff): Promise<void> {
  await writeFileAtomic(fileOf(workspace, tradeoff.id), `${JSON.stringify(sealed(tradeoff), null, 2)}\n`);
}

import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { writeFileAtomic } from '../../workspace/atomic.ts';
import type { Workspace } from '../../workspace/workspace.ts';

/**
 * What was timed earlier on this machine, else what is timed now, which is kept in a file of the workspace's `probes`.
 * A damaged file counts as none.
 * @param probe name of the file, and of the timings in it, and all that they depend on, readable in the file
 * @param time undefined where it came to grief; then nothing is kept
 */
export async function keptProbe<T>(
  workspace: Workspace,
  { file, field, of, schema }: { file: string; field: string; of: object; schema: z.ZodType<T> },
  time: () => Promise<T | undefined>,
): Promise<T | undefined> {
  const hash = createHash('sha256').update(JSON.stringify(of)).digest('hex').slice(0, 12);
  const path = join(workspace.root, 'probes', `${file}-${hash}.json`);
  const kept = await readProbe(path, field, schema);
  if (kept !== undefined) return kept;
  const timed = await time();
  if (timed !== undefined) await writeFileAtomic(path, `${JSON.stringify({ of, [field]: timed }, null, 2)}\n`);
  return timed;
}

async function readProbe<T>(path: string, field: string, schema: z.ZodType<T>): Promise<T | undefined> {
  try {
    const kept = z.record(z.string(), z.unknown()).parse(JSON.parse(await readFile(path, 'utf8')));
    return schema.parse(kept[field]);
  } catch {
    return undefined;
  }
}

/** Export, as a user asks for it: made, and remembered beside its run so that it can be found and taken away. */
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { z } from 'zod';
import { exists } from '../base/exists.ts';
import type { TaskOptions } from '../base/progress.ts';
import { exportRun as exportModels, type ExportRequest, type ExportResult } from '../export/export-run.ts';
import { findRun } from '../training/find-run.ts';
import { runFile } from '../training/run-folder.ts';
import { writeFileAtomic } from '../workspace/atomic.ts';
import type { Workspace } from '../workspace/workspace.ts';

export type { FormParity } from '../export/card-facts.ts';
export type { ExportRequest, ExportResult } from '../export/export-run.ts';

const keptSchema = z.object({
  id: z.string().regex(/^[0-9a-f]{12}$/),
  time: z.iso.datetime(),
  /** Absolute path of the folder. */
  folder: z.string(),
  half: z.boolean(),
  files: z.array(z.object({ name: z.string().regex(/^[\w.-]+$/), bytes: z.number() })),
  parity: z.object({ images: z.int(), maxAbsLogit: z.number(), bound: z.number(), top1Changes: z.int() }),
});
type KeptExport = z.infer<typeof keptSchema>;

/** An export that is still where it was written. */
export interface ListedExport extends KeptExport {
  /** Its card, README.md, as text. */
  card: string;
}

/** Exports of a run that are remembered, the newest. */
const MOST_KEPT = 5;
const CARD = 'README.md';

/** @throws Failure as `exportRun` of src-main/export */
export async function exportRun(
  workspace: Workspace,
  request: ExportRequest,
  options: TaskOptions = {},
): Promise<ExportResult> {
  const result = await exportModels(workspace, request, options);
  const { run, files, bytes, parity } = result;
  const made: KeptExport = {
    id: randomBytes(6).toString('hex'),
    time: new Date().toISOString(),
    folder: dirname(files[0]!),
    half: request.half ?? false,
    files: files.map((file, index) => ({ name: basename(file), bytes: bytes[index]! })),
    parity,
  };
  // The export is whole; that it was made is only remembered where there is room.
  await remember(workspace, run, made).catch(() => undefined);
  return result;
}

/** Exports of a run that are still there, newest first. @throws Failure as `findRun` */
export async function listExports(workspace: Workspace, named: string): Promise<ListedExport[]> {
  const run = await findRun(workspace, named);
  const listed: ListedExport[] = [];
  for (const kept of await readKept(workspace, run)) {
    const card = await readFile(join(kept.folder, CARD), 'utf8').catch(() => undefined);
    if (card !== undefined) listed.push({ ...kept, card });
  }
  return listed;
}

/** Path of one file of an export, by its exact name; undefined for whatever else is asked. */
export async function exportedFile(
  workspace: Workspace,
  run: string,
  id: string,
  name: string,
): Promise<string | undefined> {
  if (!(await workspace.list('runs')).includes(run)) return undefined;
  const kept = (await readKept(workspace, run)).find((each) => each.id === id);
  const file = kept?.files.find((each) => each.name === name);
  if (!kept || !file) return undefined;
  const path = join(kept.folder, file.name);
  return (await exists(path)) ? path : undefined;
}

const keptFile = (workspace: Workspace, run: string): string => join(workspace.run(run), 'exports.json');

async function readKept(workspace: Workspace, run: string): Promise<KeptExport[]> {
  try {
    return z.array(keptSchema).parse(JSON.parse(await readFile(keptFile(workspace, run), 'utf8')));
  } catch {
    return [];
  }
}

/** An export to the same folder has taken the place of the earlier one. */
async function remember(workspace: Workspace, run: string, made: KeptExport): Promise<void> {
  if (!(await exists(runFile(workspace, run, 'config')))) return;
  const others = (await readKept(workspace, run)).filter(({ folder }) => folder !== made.folder);
  const kept = [made, ...others].slice(0, MOST_KEPT);
  await writeFileAtomic(keptFile(workspace, run), `${JSON.stringify(kept, null, 2)}\n`);
}

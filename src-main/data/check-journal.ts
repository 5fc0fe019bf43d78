import { appendFile, readdir, readFile, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { makeFolder } from '../base/make-folder.ts';
import type { Workspace } from '../workspace/workspace.ts';
import { isSameFile } from './dataset.ts';
import { imageReferenceSchema, type ImageReference } from './image-reference.ts';

const lineSchema = z.object({
  /** The path is absolute. */
  ...imageReferenceSchema.shape,
  /** Of the file that it is or is packed in, as is the time. */
  bytes: z.number(),
  mtimeMs: z.number(),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
});
/** An image that was found to be good, and when: at this size and time of its file. */
type CheckedFile = z.infer<typeof lineSchema>;

/** Lines that are written together: a kill costs at most as many checks. */
const LINES_AT_ONCE = 64;

/** After that long nobody is about to go on with an import. */
const KEPT_MS = 7 * 24 * 3600 * 1000;

/** The file beside a dataset's entry that keeps what an import has found out until it is done. */
export function checkJournalOf(workspace: Workspace, name: string): string {
  return join(workspace.datasets, `.${name}.checked.jsonl`);
}

/**
 * What an import has checked so far, kept in a file until the import is done: one that was cut short goes on from there.
 * It only saves time, so no line is synced, a harmed one counts for nothing, and a disk that takes none does no harm.
 */
export class CheckJournal {
  private lines: string[] = [];
  private written: Promise<unknown> = Promise.resolve();

  private constructor(
    private readonly path: string,
    private readonly found: ReadonlyMap<string, CheckedFile>,
  ) {}

  static async open(path: string): Promise<CheckJournal> {
    const text = await readFile(path, 'utf8').catch(() => '');
    const lines = text.split('\n').flatMap((line) => parseLine(line) ?? []);
    return new CheckJournal(path, new Map(lines.map((line) => [keyOf(line), line])));
  }

  /** The hash of an image's content, if it was checked when its file had this size and time. */
  hashOf(image: ImageReference, bytes: number, mtimeMs: number): string | undefined {
    const line = this.found.get(keyOf(image));
    return line && isSameFile(line, bytes, mtimeMs) ? line.sha256 : undefined;
  }

  add(line: CheckedFile): void {
    this.lines.push(JSON.stringify(line));
    if (this.lines.length >= LINES_AT_ONCE) void this.flush();
  }

  /** Writes what was added last. */
  flush(): Promise<unknown> {
    const { lines } = this;
    this.lines = [];
    if (lines.length === 0) return this.written;
    // The break in front ends a line that a kill has cut.
    const write = () => appendFile(this.path, `\n${lines.join('\n')}\n`);
    this.written = this.written
      .then(write)
      .catch(() => makeFolder(dirname(this.path)).then(write))
      .catch(() => undefined);
    return this.written;
  }
}

const keyOf = ({ path, entry }: ImageReference): string => `${entry ?? ''} ${path}`;

function parseLine(line: string): CheckedFile | undefined {
  try {
    return lineSchema.parse(JSON.parse(line));
  } catch {
    return undefined;
  }
}

/** Removes the journal of a dataset, if there is one. */
export async function dropCheckJournal(workspace: Workspace, name: string): Promise<void> {
  await rm(checkJournalOf(workspace, name), { force: true });
}

/** Removes the journals of imports that were given up. */
export async function sweepCheckJournals(workspace: Workspace): Promise<void> {
  const names = await readdir(workspace.datasets).catch(() => []);
  for (const name of names.filter((each) => each.startsWith('.') && each.endsWith('.checked.jsonl'))) {
    const path = join(workspace.datasets, name);
    const status = await stat(path).catch(() => undefined);
    if (status && Date.now() - status.mtimeMs > KEPT_MS) await rm(path, { force: true });
  }
}

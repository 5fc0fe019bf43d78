/** What happened to a run, told beside it: a line each time it starts, goes on, is stopped, ends, or is remarked upon. */
import { join } from 'node:path';
import { z } from 'zod';
import { inTurn } from '../base/in-turn.ts';
import { findRun } from '../training/find-run.ts';
import { appendJsonLine, readJsonLines } from '../workspace/atomic.ts';
import type { Workspace } from '../workspace/workspace.ts';

export const logEntrySchema = z.object({
  time: z.iso.datetime(),
  kind: z.enum(['phase', 'remark', 'error']),
  sentence: z.string(),
});
export type LogEntry = z.infer<typeof logEntrySchema>;

const logFile = (workspace: Workspace, run: string): string => join(workspace.run(run), 'log.jsonl');

/** Collects what is said of a run; what comes before it has its folder is written when it has. */
export class RunLog {
  private run: string | undefined;
  private readonly early: LogEntry[] = [];
  private readonly writeInTurn = inTurn();

  constructor(private readonly workspace: Workspace) {}

  say(kind: LogEntry['kind'], sentence: string): void {
    const entry: LogEntry = { time: new Date().toISOString(), kind, sentence };
    if (this.run === undefined) this.early.push(entry);
    else void this.write(this.run, entry);
  }

  /** The run has its folder. */
  begin(run: string): void {
    this.run = run;
    for (const entry of this.early.splice(0)) void this.write(run, entry);
  }

  /** When everything that was said is on disk. */
  written(): Promise<void> {
    return this.writeInTurn(async () => undefined);
  }

  /** A run does not end because its log has no room. */
  private write(run: string, entry: LogEntry): Promise<void> {
    return this.writeInTurn(() => appendJsonLine(logFile(this.workspace, run), entry).catch(() => undefined));
  }
}

/** What was told of a run, oldest first; lines that cannot be read are left out. @throws Failure as `findRun` */
export async function readRunLog(workspace: Workspace, named: string): Promise<LogEntry[]> {
  const run = await findRun(workspace, named);
  const lines = await readJsonLines(logFile(workspace, run)).catch(() => []);
  return lines.flatMap((line) => {
    const entry = logEntrySchema.safeParse(line);
    return entry.success ? [entry.data] : [];
  });
}

/** One start of the command: where output goes, how it is stopped, and the workspace. */
import { join } from 'node:path';
import type { Progress, TaskOptions } from '../base/progress.ts';
import { Workspace, workspaceFolder } from '../studio/contract.ts';
import { placeVit } from '../studio/preferences.ts';
import { ProgressPrinter } from './progress.ts';
import type { ProgressStream } from './progress.ts';

export interface GlobalOptions {
  workspace?: string;
  json?: boolean;
}

export interface Streams {
  stdout: { write(text: string): unknown };
  stderr: ProgressStream;
}

/** Where errors of ours are kept: in the workspace, whether or not it could be opened; undefined where there is none. */
export function logFolder(workspace?: string): string | undefined {
  try {
    return join(workspaceFolder(workspace), 'logs');
  } catch {
    return undefined;
  }
}

export class Session {
  readonly progress: ProgressPrinter;
  /** What the process will end with when the command returns. */
  exitCode = 0;
  /** Whether the command has done its work and said so. */
  answered = false;
  /** What to tell someone who stopped the command. */
  whenInterrupted = 'Interrupted; the same command starts over.';
  private opened: Promise<Workspace> | undefined;

  constructor(
    private readonly streams: Streams,
    readonly signal: AbortSignal,
    /** Read late: flags are known once the command line has been parsed. */
    readonly globals: () => GlobalOptions,
  ) {
    this.progress = new ProgressPrinter(streams.stderr);
  }

  get json(): boolean {
    return this.globals().json === true;
  }

  /** The workspace of --workspace, else the usual one; made where there is none. */
  workspace(): Promise<Workspace> {
    this.opened ??= this.openWorkspace();
    return this.opened;
  }

  private async openWorkspace(): Promise<Workspace> {
    const workspace = await Workspace.open(this.globals().workspace);
    await placeVit(workspace);
    return workspace;
  }

  get logFolder(): string | undefined {
    return logFolder(this.globals().workspace);
  }

  /** For a long task: its progress goes to stderr, and Ctrl-C stops it. */
  task(): TaskOptions {
    return {
      signal: this.signal,
      onProgress: (progress: Progress) => this.progress.report(progress),
      onRemark: (sentence) => this.remark(sentence),
    };
  }

  /** What a command has to say at its end: a JSON object on one line with --json, else words. */
  answer(json: object, words: string): void {
    this.progress.finish();
    this.answered = true;
    this.streams.stdout.write(`${this.json ? JSON.stringify(json) : words}\n`);
  }

  /** A sentence that is no part of the answer. */
  remark(sentence: string): void {
    this.progress.finish();
    this.streams.stderr.write(`${sentence}\n`);
  }
}

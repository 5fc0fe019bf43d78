import { open, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { makeFolder } from '../base/make-folder.ts';
import { diskFull, errorCode } from '../workspace/atomic.ts';
import { sealed, unsealed } from '../workspace/record.ts';
import { sweepEventSchema, type SweepEvent } from './sweep-events.ts';

/** The log of a sweep, to which lines are only ever added: JSON, each with its own checksum. */
export class Journal {
  private waiting: string[] = [];
  private writing: Promise<void> = Promise.resolve();
  private failure: Error | undefined;

  private constructor(
    private readonly path: string,
    private readonly file: FileHandle,
  ) {}

  /** Opens the log for one writer, with the events in it. A torn last line is cut off; damaged ones are left out. */
  static async open(path: string): Promise<{ journal: Journal; events: SweepEvent[] }> {
    await makeFolder(dirname(path));
    const file = await open(path, 'a+');
    const content = await file.readFile();
    const whole = content.lastIndexOf(0x0a) + 1;
    if (whole < content.length) await file.truncate(whole);
    return { journal: new Journal(path, file), events: eventsIn(content.toString('utf8', 0, whole)) };
  }

  /** Lines go out together with those that come while others are written. @throws what an earlier line has failed with */
  append(event: SweepEvent): void {
    if (this.failure) throw this.failure;
    this.waiting.push(`${JSON.stringify(sealed(event))}\n`);
    if (this.waiting.length === 1) this.writing = this.writing.then(() => this.write());
  }

  /** Waits until all lines so far are in the file, and would outlive the system. */
  async sync(): Promise<void> {
    await this.writing;
    if (this.failure) throw this.failure;
    await this.file.datasync();
  }

  async close(): Promise<void> {
    await this.writing;
    await this.file.close();
  }

  private async write(): Promise<void> {
    const lines = this.waiting.join('');
    this.waiting = [];
    try {
      await this.file.appendFile(lines);
    } catch (error) {
      const told = diskFull(error, this.path);
      this.failure ??= told instanceof Error ? told : new Error(String(told));
    }
  }
}

/** The events in a log that somebody else may be writing; none where there is no file. */
export async function readJournal(path: string): Promise<SweepEvent[]> {
  try {
    const file = await open(path, 'r');
    try {
      const content = await file.readFile('utf8');
      return eventsIn(content.slice(0, content.lastIndexOf('\n') + 1));
    } finally {
      await file.close();
    }
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return [];
    throw error;
  }
}

function eventsIn(text: string): SweepEvent[] {
  return text.split('\n').flatMap((line) => {
    try {
      return line === '' ? [] : [sweepEventSchema.parse(unsealed(JSON.parse(line)))];
    } catch {
      return [];
    }
  });
}

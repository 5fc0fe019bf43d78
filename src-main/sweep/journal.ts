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
  return (await new JournalReader(path).read()).events;
}

/** Bytes by which a log is told from another that has taken its place. */
const TAIL = 64;

/** Reads a log that somebody else may be writing, again and again: each time only what has been added. */
export class JournalReader {
  /** Of whole lines that have been read. */
  private bytes = 0;
  private tail = Buffer.alloc(0);

  constructor(private readonly path: string) {}

  /** @returns events, and whether they are all that there are: the first time, and where the log is another one */
  async read(): Promise<{ events: SweepEvent[]; isWhole: boolean }> {
    let file: FileHandle;
    try {
      file = await open(this.path, 'r');
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') throw error;
      const isWhole = this.bytes > 0;
      this.take(0, Buffer.alloc(0));
      return { events: [], isWhole };
    }
    try {
      const from = this.bytes - this.tail.length;
      const { size } = await file.stat();
      const added = await read(file, from, size);
      const goesOn = this.bytes > 0 && added.subarray(0, this.tail.length).equals(this.tail);
      const content = goesOn ? added : from === 0 ? added : await read(file, 0, size);
      const start = goesOn ? this.tail.length : 0;
      const end = Math.max(start, content.lastIndexOf(0x0a) + 1);
      this.take(goesOn ? from + end : end, content.subarray(0, end));
      return { events: eventsIn(content.toString('utf8', start, end)), isWhole: !goesOn };
    } finally {
      await file.close();
    }
  }

  private take(bytes: number, content: Buffer): void {
    this.bytes = bytes;
    this.tail = Buffer.from(content.subarray(-TAIL));
  }
}

async function read(file: FileHandle, from: number, to: number): Promise<Buffer> {
  const content = Buffer.alloc(Math.max(0, to - from));
  let done = 0;
  while (done < content.length) {
    const { bytesRead } = await file.read(content, done, content.length - done, from + done);
    if (bytesRead === 0) break;
    done += bytesRead;
  }
  return content.subarray(0, done);
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

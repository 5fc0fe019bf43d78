/**
 * A folder, or a model, that a browser sends: one body, in which each file follows a line of JSON that says what it is. It is written
 * as it comes, so that its size takes no memory.
 */
import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import { z } from 'zod';
import { Failure } from '../base/failure.ts';
import type { Job } from '../studio/service/events.ts';
import type { Studio } from '../studio/service/studio.ts';
import { Upload, UPLOAD_LIMITS, type UploadLimits } from '../studio/datasets/uploads.ts';
import { words, type Answer } from './read.ts';

const fileSchema = z.object({
  path: z.string().min(1),
  bytes: z.int().nonnegative(),
  mtimeMs: z.number().nonnegative(),
});

const LONGEST_LINE = 8192;

/** What becomes of an upload, by the address that it is sent to; what is answered. */
type Taker = (studio: Studio, upload: Upload) => Promise<Job | { file: string }>;
const takers: Readonly<Record<string, Taker>> = {
  /** A dataset: its import is queued. */
  '/upload': async (studio, upload) => studio.importUpload(await upload.finish()),
  /** A model: it lies there to be looked into, and to be added by its path. */
  '/upload/model': async (_, upload) => ({ file: await upload.finishModel() }),
};

export function takerAt(pathname: string): Taker | undefined {
  return Object.hasOwn(takers, pathname) ? takers[pathname] : undefined;
}

/**
 * Takes an upload in. One that is cut off, or of which a file is refused, leaves nothing.
 * @throws what the connection was cut off by
 */
export async function receiveUpload(
  studio: Studio,
  request: IncomingMessage,
  take: Taker,
  limits: UploadLimits = UPLOAD_LIMITS,
): Promise<Answer> {
  const length = Number(request.headers['content-length']);
  if (!Number.isSafeInteger(length)) return words(411, 'The size of what is sent has to be said.');
  let upload: Upload | undefined;
  try {
    upload = await Upload.begin(studio.workspace, length, limits);
    const body = new Body(request);
    for (let line = await body.line(); line !== undefined; line = await body.line()) {
      const file = parseLine(line);
      await upload.add(file, Readable.from(body.take(file.bytes)));
    }
    const reply = await take(studio, upload);
    return {
      status: 200,
      headers: { 'content-type': 'application/json', 'cache-control': 'no-store' },
      body: JSON.stringify({ ok: true, reply }),
    };
  } catch (error) {
    await upload?.discard();
    if (!(error instanceof Failure)) throw error;
    return words(error.code === 'disk-full' ? 507 : 400, error.message);
  }
}

function parseLine(line: string): z.infer<typeof fileSchema> {
  try {
    return fileSchema.parse(JSON.parse(line));
  } catch (error) {
    throw new Failure('upload', 'What was sent is no list of files.', { cause: error });
  }
}

/** A body that is read in order: a line, then as many bytes as that says. */
class Body {
  private readonly chunks: AsyncIterator<Buffer>;
  private rest = Buffer.alloc(0);

  constructor(request: IncomingMessage) {
    // Left open where it is refused: whoever sends it is to read why.
    this.chunks = (request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>)[Symbol.asyncIterator]();
  }

  /** The next line; undefined at the end. @throws Failure `upload` for one that does not end */
  async line(): Promise<string | undefined> {
    for (;;) {
      const end = this.rest.indexOf(0x0a);
      if (end >= 0) {
        const line = this.rest.toString('utf8', 0, end);
        this.rest = this.rest.subarray(end + 1);
        return line;
      }
      if (this.rest.length > LONGEST_LINE) throw new Failure('upload', 'What was sent is no list of files.');
      const next = await this.next();
      if (next === undefined && this.rest.length === 0) return undefined;
      if (next === undefined) throw cutOff();
      this.rest = Buffer.concat([this.rest, next]);
    }
  }

  /** The next bytes, as they come. @throws Failure `upload` where there are fewer */
  async *take(bytes: number): AsyncGenerator<Buffer> {
    for (let left = bytes; left > 0;) {
      if (this.rest.length === 0) {
        const next = await this.next();
        if (next === undefined) throw cutOff();
        this.rest = next;
      }
      const part = this.rest.subarray(0, left);
      this.rest = this.rest.subarray(part.length);
      left -= part.length;
      yield part;
    }
  }

  private async next(): Promise<Buffer<ArrayBuffer> | undefined> {
    const read = await this.chunks.next();
    return read.done ? undefined : (read.value as Buffer<ArrayBuffer>);
  }
}

function cutOff(): Failure {
  return new Failure('upload', 'What was sent ends in the middle of a file: send it again.');
}

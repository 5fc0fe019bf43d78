import type { IncomingMessage } from 'node:http';
import { promisify } from 'node:util';
import { gunzip, inflate } from 'node:zlib';
import { busy, HttpError } from './http-error.ts';
import type { Limits } from './limits.ts';

/** The bytes of all bodies that are held at a time. */
export class BodyRoom {
  private held = 0;

  constructor(private readonly limits: Pick<Limits, 'requestBytes' | 'bufferedBytes'>) {}

  /** Bytes held. */
  get bytes(): number {
    return this.held;
  }

  /**
   * Reads a body, unpacked where it is packed, and hands it on; its room is free again when `use` is done.
   * @param proceed told once there is room for it
   * @throws HttpError 400, 408, 413, 415, 503
   */
  async with<T>(
    request: IncomingMessage,
    proceed: () => void,
    use: (body: Uint8Array, received: number) => Promise<T>,
  ): Promise<T> {
    const unpack = unpacker(request);
    const stated = request.headers['content-length'];
    const place = new Place(this.limits.requestBytes, (bytes) => this.take(bytes));
    try {
      if (stated !== undefined) place.grow(Number(stated));
      proceed();
      const chunks: Buffer[] = [];
      let bytes = 0;
      for await (const chunk of chunksOf(request)) {
        bytes += chunk.length;
        place.grow(bytes);
        chunks.push(chunk);
      }
      const packed = chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks, bytes);
      const body = unpack ? await unpack(packed, this.limits.requestBytes) : packed;
      place.grow(body.byteLength);
      return await use(body, bytes);
    } finally {
      place.free();
    }
  }

  /** Counts a message that is there already. @throws HttpError 413, 503 */
  async holding<T>(bytes: number, use: () => Promise<T>): Promise<T> {
    const place = new Place(this.limits.requestBytes, (more) => this.take(more));
    try {
      place.grow(bytes);
      return await use();
    } finally {
      place.free();
    }
  }

  private take(bytes: number): void {
    if (this.held + bytes > this.limits.bufferedBytes) throw busy(1);
    this.held += bytes;
  }
}

async function* chunksOf(request: IncomingMessage): AsyncGenerator<Buffer> {
  try {
    // Left open when there is too much: whoever sends it is to read why.
    yield* request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>;
  } catch {
    throw new HttpError(400, 'The body is cut short.');
  }
}

/** The room of one body. */
class Place {
  private bytes = 0;

  constructor(
    private readonly most: number,
    private readonly take: (bytes: number) => void,
  ) {}

  grow(bytes: number): void {
    if (bytes > this.most)
      throw new HttpError(413, `A request may have ${this.most} bytes: send fewer images at a time.`);
    if (bytes <= this.bytes) return;
    this.take(bytes - this.bytes);
    this.bytes = bytes;
  }

  free(): void {
    this.take(-this.bytes);
    this.bytes = 0;
  }
}

type Unpack = (packed: Uint8Array, most: number) => Promise<Uint8Array>;

function unpacker({ headers }: IncomingMessage): Unpack | undefined {
  const coding = (headers['content-encoding'] ?? 'identity').trim().toLowerCase();
  if (coding === 'identity') return undefined;
  const method = { gzip: promisify(gunzip), deflate: promisify(inflate) }[coding];
  if (!method)
    throw new HttpError(415, `The content encoding "${coding}" is not known here: use gzip, deflate or none.`);
  return async (packed, most) => {
    try {
      return await method(packed, { maxOutputLength: most });
    } catch (error) {
      const large = error instanceof RangeError || (error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE';
      if (large) throw new HttpError(413, `A request may have ${most} bytes once it is unpacked.`);
      throw new HttpError(400, `The body is not ${coding}.`);
    }
  };
}

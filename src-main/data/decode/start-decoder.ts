import { availableParallelism } from 'node:os';
import { Failure } from '../../base/failure.ts';
import { entryBeside } from '../../base/fork-entry.ts';
import { canStartProcesses, startProcess, type OwnProcess } from '../../base/own-process.ts';
import { unreadableImage, type Picture } from '../image-reference.ts';
import type { DecodeTarget, Decoder } from './decoder.ts';
import { replySchema } from './messages.ts';
import type { DecodeReply, DecodeRequest } from './messages.ts';

export interface DecoderOptions {
  /** Pictures in flight at once; as many as the machine has cores when left out. */
  concurrency?: number;
  /** Another program for the process: tests of crashes use one. */
  entry?: URL;
}

/** Neither, where the picture is only checked. */
type Wanted = Pick<DecodeRequest, 'target' | 'thumbnail'>;

interface Job {
  id: number;
  image: Picture;
  what: Wanted;
  /** How many processes have died with this picture in flight. */
  deaths: number;
  resolve: (reply: GoodReply) => void;
  reject: (error: unknown) => void;
}

type GoodReply = Exclude<DecodeReply, { ready: true } | { failure: unknown }>;

/**
 * Starts a decoder in a process of its own. When that dies, another is started and the pictures that were in flight are
 * tried once more, one at a time, so that the one that kills it again fails alone. A process that can start no other
 * decodes by itself: it is one that may die.
 * @throws Failure `decoder` where the process cannot be started
 */
export async function startDecoder(options: DecoderOptions = {}): Promise<Decoder> {
  if (!canStartProcesses()) return decodingHere();
  const decoder = new ProcessDecoder(
    options.concurrency ?? availableParallelism(),
    options.entry ?? entryBeside('./decoder-process', import.meta.url),
  );
  await decoder.start();
  return decoder;
}

async function decodingHere(): Promise<Decoder> {
  const { decodeImage, thumbnailOf, checkImage } = await import('./decode-image.ts');
  return { decode: decodeImage, thumbnail: thumbnailOf, check: checkImage, close: () => Promise.resolve() };
}

class ProcessDecoder implements Decoder {
  private child: OwnProcess | undefined;
  private ended: Promise<void> | undefined;
  private ready = false;
  private closed = false;
  private nextId = 0;
  private readonly inFlight = new Map<number, Job>();
  private readonly waiting: Job[] = [];
  /** Pictures that were in flight when a process died; while there are any, each goes alone. */
  private readonly suspects: Job[] = [];
  private suspectInFlight = false;

  constructor(
    private readonly concurrency: number,
    private readonly entry: URL,
  ) {}

  async decode(image: Picture, target: DecodeTarget): Promise<Uint8Array> {
    const reply = await this.ask(image, { target });
    if (!('pixels' in reply)) throw new Error('the decoder answered another question');
    return reply.pixels;
  }

  async thumbnail(image: Picture, longest: number): Promise<Uint8Array> {
    const reply = await this.ask(image, { thumbnail: longest });
    if (!('jpeg' in reply)) throw new Error('the decoder answered another question');
    return reply.jpeg;
  }

  async check(image: Picture): Promise<string> {
    const reply = await this.ask(image, {});
    if (!('sha256' in reply)) throw new Error('the decoder answered another question');
    return reply.sha256;
  }

  private ask(image: Picture, what: Wanted): Promise<GoodReply> {
    return new Promise((resolve, reject) => {
      if (this.closed) {
        reject(closedFailure());
        return;
      }
      this.waiting.push({ id: this.nextId++, image, what, deaths: 0, resolve, reject });
      this.pump();
    });
  }

  async close(): Promise<void> {
    this.closed = true;
    this.rejectAll(closedFailure());
    this.child?.kill();
    await this.ended;
  }

  /** Resolves when a new process says that it is ready; one that ends before is started once more. */
  async start(): Promise<void> {
    try {
      await this.launch();
    } catch (error) {
      if (this.closed) throw error;
      await this.launch();
    }
  }

  private launch(): Promise<void> {
    return new Promise((resolve, reject) => {
      const child = startProcess(this.entry, {
        env: { ...process.env, UV_THREADPOOL_SIZE: String(Math.max(4, this.concurrency)) },
        stderr: 'keep',
      });
      this.child = child;
      child.onMessage((message) => {
        const reply = replySchema.parse(message);
        if ('ready' in reply) {
          this.ready = true;
          resolve();
        } else this.settle(reply);
        this.pump();
      });
      this.ended = new Promise((ended) => {
        child.onEnd(({ how, complaint }) => {
          ended();
          if (this.ready) this.recover();
          else reject(cannotStart(how, complaint));
        });
      });
    });
  }

  private settle(reply: Exclude<DecodeReply, { ready: true }>): void {
    const job = this.inFlight.get(reply.id);
    if (job === undefined) return;
    this.inFlight.delete(reply.id);
    this.suspectInFlight = false;
    if ('failure' in reply) job.reject(new Failure(reply.failure.code, reply.failure.message));
    else job.resolve(reply);
  }

  private pump(): void {
    if (!this.ready) return;
    if (this.suspects.length > 0 || this.suspectInFlight) {
      const suspect = this.inFlight.size === 0 ? this.suspects.shift() : undefined;
      if (suspect === undefined) return;
      this.suspectInFlight = true;
      this.send(suspect);
      return;
    }
    while (this.inFlight.size < this.concurrency) {
      const job = this.waiting.shift();
      if (job === undefined) return;
      this.send(job);
    }
  }

  private send(job: Job): void {
    const { id, image, what } = job;
    this.inFlight.set(id, job);
    // Where the process has died meanwhile, its end follows, and what is in flight is tried again.
    this.child?.tell({ id, image, ...what });
  }

  private recover(): void {
    this.ready = false;
    this.suspectInFlight = false;
    if (this.closed) return;
    for (const job of this.inFlight.values()) {
      job.deaths++;
      if (job.deaths === 1) this.suspects.push(job);
      else job.reject(unreadableImage(job.image, 'the decoder crashes on it'));
    }
    this.inFlight.clear();
    this.start().catch((error: unknown) => {
      this.closed = true;
      this.rejectAll(error);
    });
  }

  private rejectAll(error: unknown): void {
    for (const job of [...this.inFlight.values(), ...this.suspects, ...this.waiting]) job.reject(error);
    this.inFlight.clear();
    this.suspects.length = 0;
    this.waiting.length = 0;
  }
}

function closedFailure(): Failure {
  return new Failure('decoder', 'The image decoder was closed.');
}

function cannotStart(how: string, complaint: string): Failure {
  const message = `The image decoder cannot be started (it ended with ${how}): see "sidetune doctor".`;
  return new Failure('decoder', message, { cause: complaint });
}

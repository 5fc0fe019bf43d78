import { parentPort, type Transferable, type Worker } from 'node:worker_threads';
import { Failure } from './failure.ts';

/** `close` asks the thread to end. */
type Asked<Request> = { id: number; request: Request } | 'close';

type Reply<Answer> =
  { id: number; kind: 'done'; answer: Answer } | { id: number; kind: 'failed'; message: string; code?: string };

interface Waiting<Answer> {
  resolve: (answer: Answer) => void;
  reject: (error: Error) => void;
}

/** A thread that is asked things, and behind which `answerRequests` runs; what crosses over is structured-cloned. */
export class AskedThread<Request, Answer> {
  private readonly waiting = new Map<number, Waiting<Answer>>();
  private readonly exited: Promise<void>;
  private nextId = 1;
  private ended: Error | undefined;
  /** Since when nothing is asked; undefined before the first answer, and while something is. */
  private idleSince: number | undefined;
  private idle = 0;

  /** @param name what errors call the thread */
  constructor(
    private readonly worker: Worker,
    name: string,
  ) {
    worker.on('message', (reply: Reply<Answer>) => {
      const waiting = this.waiting.get(reply.id);
      this.waiting.delete(reply.id);
      if (this.waiting.size === 0) this.idleSince = performance.now();
      if (reply.kind === 'done') waiting?.resolve(reply.answer);
      else waiting?.reject(reply.code ? new Failure(reply.code, reply.message) : new Error(reply.message));
    });
    worker.on('error', (error) => this.fail(error));
    this.exited = new Promise((resolve) => {
      worker.on('exit', () => {
        this.fail(new Error(`The ${name} thread ended.`));
        resolve();
      });
    });
  }

  /**
   * @param given what of the request goes over to the thread instead of being copied
   * @throws the Failure or Error that the thread met with, or that it ended
   */
  ask(request: Request, given: Transferable[] = []): Promise<Answer> {
    if (this.ended) return Promise.reject(this.ended);
    const id = this.nextId++;
    if (this.idleSince !== undefined) this.idle += performance.now() - this.idleSince;
    this.idleSince = undefined;
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject });
      this.worker.postMessage({ id, request } satisfies Asked<Request>, given);
    });
  }

  /** Milliseconds between its first answer and its last question in which it was asked nothing. */
  get idleMs(): number {
    return this.idle;
  }

  /**
   * Ends the thread when it is done with the request that it is at; what is asked after that one fails. `terminate`
   * would be no quicker, and ends the whole process: a native addon that comes back to a thread without JavaScript
   * aborts.
   */
  async close(): Promise<void> {
    this.worker.postMessage('close' satisfies Asked<Request>);
    await this.exited;
  }

  private fail(error: Error): void {
    this.ended ??= error;
    for (const { reject } of this.waiting.values()) reject(error);
    this.waiting.clear();
  }
}

/**
 * Called on the thread itself: answers what it is asked, one request at a time, in order.
 * @param answer takes the requests of the `AskedThread` on the other side, whatever they are
 * @param given what of an answer goes over to the other side instead of being copied
 */
export function answerRequests<Answer>(
  answer: (request: never) => Promise<Answer>,
  given: (answer: Answer) => Transferable[] = () => [],
): void {
  const port = parentPort;
  if (!port) throw new Error('This file is the entry of a worker thread.');
  let queue = Promise.resolve();
  let closing = false;
  port.on('message', (asked: Asked<never>) => {
    if (asked === 'close') {
      closing = true;
      void queue.then(() => process.exit());
      return;
    }
    const { id, request } = asked;
    queue = queue.then(async () => {
      if (closing) return;
      const reply = await answer(request).then(
        (done): Reply<Answer> => ({ id, kind: 'done', answer: done }),
        (error: unknown): Reply<Answer> => ({ id, kind: 'failed', ...inWords(error) }),
      );
      port.postMessage(reply, reply.kind === 'done' ? given(reply.answer) : []);
    });
  });
}

function inWords(error: unknown): { message: string; code?: string } {
  const message = error instanceof Error ? error.message : String(error);
  return error instanceof Failure ? { message, code: error.code } : { message };
}

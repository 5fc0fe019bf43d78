import { parentPort, type Transferable, type Worker } from 'node:worker_threads';
import { Failure } from './failure.ts';
import type { OwnProcess } from './own-process.ts';
import { parent } from './parent.ts';

/** `close` asks the thread to end. */
type Question<Request> = { id: number; request: Request } | 'close';

type Reply<Answer> =
  { id: number; kind: 'done'; answer: Answer } | { id: number; kind: 'failed'; message: string; code?: string };

interface Waiting<Answer> {
  resolve: (answer: Answer) => void;
  reject: (error: Error) => void;
}

/** The way to whoever is asked. */
interface Line {
  send(message: unknown, given: Transferable[]): void;
  onMessage(listener: (message: unknown) => void): void;
  /** Called once, when nothing more will be answered; a thread may tell of an error before. */
  onEnd(listener: (error: Error) => void): void;
}

/** Somebody else who is asked things, and behind whom `answerRequests` runs; what crosses over is structured-cloned. */
class Asked<Request, Answer> {
  private readonly waiting = new Map<number, Waiting<Answer>>();
  private readonly exited: Promise<void>;
  private nextId = 1;
  private ended: Error | undefined;
  /** Since when nothing is asked; undefined before the first answer, and while something is. */
  private idleSince: number | undefined;
  private idle = 0;

  constructor(private readonly line: Line) {
    line.onMessage((message) => {
      const reply = message as Reply<Answer>;
      const waiting = this.waiting.get(reply.id);
      this.waiting.delete(reply.id);
      if (this.waiting.size === 0) this.idleSince = performance.now();
      if (reply.kind === 'done') waiting?.resolve(reply.answer);
      else waiting?.reject(reply.code ? new Failure(reply.code, reply.message) : new Error(reply.message));
    });
    this.exited = new Promise((resolve) => {
      line.onEnd((error) => {
        this.fail(error);
        resolve();
      });
    });
  }

  /**
   * @param given what of the request goes over to a thread instead of being copied
   * @throws the Failure or Error that was met with on the other side, or that that has ended
   */
  ask(request: Request, given: Transferable[] = []): Promise<Answer> {
    if (this.ended) return Promise.reject(this.ended);
    const id = this.nextId++;
    if (this.idleSince !== undefined) this.idle += performance.now() - this.idleSince;
    this.idleSince = undefined;
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject });
      this.line.send({ id, request } satisfies Question<Request>, given);
    });
  }

  /** Milliseconds between its first answer and its last question in which it was asked nothing. */
  get idleMs(): number {
    return this.idle;
  }

  /**
   * Ends it when it is done with the request that it is at; what is asked after that one fails. To `terminate` a thread
   * would be no quicker, and ends the whole process: a native addon that comes back to a thread without JavaScript
   * aborts.
   */
  async close(): Promise<void> {
    this.line.send('close' satisfies Question<Request>, []);
    await this.exited;
  }

  private fail(error: Error): void {
    this.ended ??= error;
    for (const { reject } of this.waiting.values()) reject(error);
    this.waiting.clear();
  }
}

/** A thread that is asked things. */
export class AskedThread<Request, Answer> extends Asked<Request, Answer> {
  /** @param name what errors call the thread */
  constructor(worker: Worker, name: string) {
    super({
      send: (message, given) => worker.postMessage(message, given),
      onMessage: (listener) => worker.on('message', listener),
      onEnd: (listener) => {
        worker.on('error', listener);
        worker.on('exit', () => listener(new Error(`The ${name} thread ended.`)));
      },
    });
  }
}

/** A process of our own that is asked things: everything is copied, and its death takes nobody along. */
export class AskedProcess<Request, Answer> extends Asked<Request, Answer> {
  /** @param gone what is said when it ends, by how it did */
  constructor(child: OwnProcess, gone: (how: string) => Failure) {
    super({
      send: (message) => child.tell(message),
      onMessage: (listener) => child.onMessage(listener),
      onEnd: (listener) =>
        child.onEnd(({ how, complaint }) =>
          listener(new Failure(gone(how).code, gone(how).message, { cause: complaint })),
        ),
    });
  }
}

/** What `answerRequests` hears and says, on a thread and in a process. */
interface Port {
  listen(listener: (question: Question<never>) => void): void;
  say(reply: unknown, given: Transferable[]): void;
  leave(): void;
}

function ownPort(): Port {
  const port = parentPort;
  if (port)
    return {
      listen: (listener) => port.on('message', listener),
      say: (reply, given) => port.postMessage(reply, given),
      leave: () => process.exit(),
    };
  parent.onGone(() => process.exit());
  return {
    listen: (listener) => parent.listen((message) => listener(message as Question<never>)),
    say: (reply) => parent.tell(reply),
    leave: () => parent.leave(),
  };
}

/**
 * Called on the thread, or in the process, itself: answers what it is asked, one request at a time, in order.
 * @param answer takes the requests of the `Asked` on the other side, whatever they are
 * @param given what of an answer goes over to the other side instead of being copied, where that is a thread
 */
export function answerRequests<Answer>(
  answer: (request: never) => Promise<Answer>,
  given: (answer: Answer) => Transferable[] = () => [],
): void {
  const port = ownPort();
  let queue = Promise.resolve();
  let closing = false;
  port.listen((asked) => {
    if (asked === 'close') {
      closing = true;
      void queue.then(() => port.leave());
      return;
    }
    const { id, request } = asked;
    queue = queue.then(async () => {
      if (closing) return;
      const reply = await answer(request).then(
        (done): Reply<Answer> => ({ id, kind: 'done', answer: done }),
        (error: unknown): Reply<Answer> => ({ id, kind: 'failed', ...inWords(error) }),
      );
      port.say(reply, reply.kind === 'done' ? given(reply.answer) : []);
    });
  });
}

function inWords(error: unknown): { message: string; code?: string } {
  const message = error instanceof Error ? error.message : String(error);
  return error instanceof Failure ? { message, code: error.code } : { message };
}

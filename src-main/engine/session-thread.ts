import type { Worker } from 'node:worker_threads';
import { startThread } from '../base/start-thread.ts';
import type { SentTensor, SessionReply, SessionRequest } from './session-messages.ts';

interface Waiting {
  resolve: (reply: Extract<SessionReply, { kind: 'done' }>) => void;
  reject: (error: Error) => void;
}

type Asked = SessionRequest extends infer Request
  ? Request extends { id: number }
    ? Omit<Request, 'id'>
    : never
  : never;

/** Models run by onnxruntime on a thread of their own, so that the caller's stays free. */
export class SessionThread {
  private readonly worker: Worker;
  private readonly waiting = new Map<number, Waiting>();
  private nextId = 1;
  private ended: Error | undefined;

  constructor() {
    this.worker = startThread('./session-worker', import.meta.url);
    this.worker.on('message', (reply: SessionReply) => {
      const waiting = this.waiting.get(reply.id);
      this.waiting.delete(reply.id);
      if (reply.kind === 'done') waiting?.resolve(reply);
      else waiting?.reject(new Error(reply.message));
    });
    this.worker.on('error', (error) => {
      this.fail(error);
    });
    this.worker.on('exit', () => {
      this.fail(new Error('The inference thread ended.'));
    });
  }

  /** Opens a model. `threads`: onnxruntime's threads inside an operator. */
  async open(model: Uint8Array, threads: number): Promise<ThreadSession> {
    const { session } = await this.ask({ kind: 'open', model, threads });
    return new ThreadSession((request) => this.ask(request), session!);
  }

  /** Ends the thread and with it all its sessions; what is still asked fails. */
  async close(): Promise<void> {
    await this.worker.terminate();
  }

  private ask(request: Asked): Promise<Extract<SessionReply, { kind: 'done' }>> {
    const id = this.nextId++;
    if (this.ended) return Promise.reject(this.ended);
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject });
      this.worker.postMessage({ ...request, id });
    });
  }

  private fail(error: Error): void {
    this.ended ??= error;
    for (const { reject } of this.waiting.values()) reject(error);
    this.waiting.clear();
  }
}

/** One model on a `SessionThread`. */
export class ThreadSession {
  constructor(
    private readonly ask: (request: Asked) => Promise<Extract<SessionReply, { kind: 'done' }>>,
    private readonly session: number,
  ) {}

  /** All outputs for these feeds. @throws Error with onnxruntime's words. */
  async run(feeds: Record<string, SentTensor>): Promise<Record<string, SentTensor>> {
    const { outputs } = await this.ask({ kind: 'run', session: this.session, feeds });
    return outputs!;
  }

  async close(): Promise<void> {
    await this.ask({ kind: 'close', session: this.session });
  }
}

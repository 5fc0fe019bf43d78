import { AskedThread } from '../base/asked-thread.ts';
import { startThread } from '../base/start-thread.ts';
import { buffersOf, type Lent, type SentTensor, type SessionAnswer, type SessionRequest } from './session-messages.ts';

/** Models run by onnxruntime on a thread of their own, so that the caller's stays free. */
export class SessionThread {
  private readonly thread = new AskedThread<SessionRequest, SessionAnswer>(
    startThread('./session-worker', import.meta.url),
    'inference',
  );

  /** Opens a model. `threads`: onnxruntime's threads inside an operator. */
  async open(model: Uint8Array, threads: number): Promise<ThreadSession> {
    const { session } = await this.thread.ask({ kind: 'open', model, threads });
    return new ThreadSession(this.thread, session!);
  }

  /** @see AskedThread.idleMs */
  get idleMs(): number {
    return this.thread.idleMs;
  }

  /** Ends the thread and with it all its sessions; what is still asked fails. */
  async close(): Promise<void> {
    await this.thread.close();
  }
}

/** One model on a `SessionThread`. */
export class ThreadSession {
  constructor(
    private readonly thread: AskedThread<SessionRequest, SessionAnswer>,
    private readonly session: number,
  ) {}

  /** All outputs for these feeds. @throws Error with onnxruntime's words. */
  async run(feeds: Record<string, SentTensor>): Promise<Record<string, SentTensor>> {
    const { outputs } = await this.thread.ask({ kind: 'run', session: this.session, feeds });
    return outputs!;
  }

  /** As `run`, with memory lent to it. What is lent is gone from here; the same memory is in the answer. */
  async runLent(
    feeds: Record<string, SentTensor>,
    lent: Lent,
  ): Promise<{ outputs: Record<string, SentTensor>; lentFeeds: Record<string, SentTensor> }> {
    const request = { kind: 'run' as const, session: this.session, feeds, lent };
    const { outputs, lentFeeds } = await this.thread.ask(request, buffersOf(lent.feeds, lent.outputs));
    return { outputs: outputs!, lentFeeds: lentFeeds! };
  }

  async close(): Promise<void> {
    await this.thread.ask({ kind: 'close', session: this.session });
  }
}

import { AskedProcess, AskedThread } from '../base/asked-thread.ts';
import { Failure } from '../base/failure.ts';
import { entryBeside } from '../base/fork-entry.ts';
import { startProcess } from '../base/own-process.ts';
import { startThread } from '../base/start-thread.ts';
import { buffersOf, type Lent, type SentTensor, type SessionAnswer, type SessionRequest } from './session-messages.ts';
import { sessionPlace } from './session-place.ts';

type Behind = AskedThread<SessionRequest, SessionAnswer> | AskedProcess<SessionRequest, SessionAnswer>;

/**
 * Models run by onnxruntime on a thread of their own, so that the caller's stays free; or in a process of their own,
 * where `runSessionsIn` says so: then a crash of native code, or memory that runs out, takes nobody along, and everything
 * that goes there and comes back is copied.
 */
export class SessionThread {
  private readonly behind: Behind =
    sessionPlace() === 'thread'
      ? new AskedThread(startThread('./session-worker', import.meta.url), 'inference')
      : new AskedProcess(startProcess(entryBeside('./session-process', import.meta.url), { stderr: 'keep' }), ended);

  /** Opens a model. `threads`: onnxruntime's threads inside an operator. */
  async open(model: Uint8Array, threads: number): Promise<ThreadSession> {
    const { session } = await this.behind.ask({ kind: 'open', model, threads });
    return new ThreadSession(this.behind, session!);
  }

  /** @see AskedThread.idleMs */
  get idleMs(): number {
    return this.behind.idleMs;
  }

  /** Peak resident memory of the process in which the models are, bytes. */
  async peakRssBytes(): Promise<number> {
    return (await this.behind.ask({ kind: 'memory' })).peakRssBytes!;
  }

  /** Ends the thread and with it all its sessions; what is still asked fails. */
  async close(): Promise<void> {
    await this.behind.close();
  }
}

/** One model on a `SessionThread`. */
export class ThreadSession {
  constructor(
    private readonly behind: Behind,
    private readonly session: number,
  ) {}

  /** All outputs for these feeds. @throws Error with onnxruntime's words. */
  async run(feeds: Record<string, SentTensor>): Promise<Record<string, SentTensor>> {
    const { outputs } = await this.behind.ask({ kind: 'run', session: this.session, feeds });
    return outputs!;
  }

  /** As `run`, with memory lent to it. What is lent is gone from here; the same memory is in the answer. */
  async runLent(
    feeds: Record<string, SentTensor>,
    lent: Lent,
  ): Promise<{ outputs: Record<string, SentTensor>; lentFeeds: Record<string, SentTensor> }> {
    const { session } = this;
    if (this.behind instanceof AskedProcess) {
      const outputs = await this.run({ ...feeds, ...lent.feeds });
      return { outputs: { ...outputs, ...filled(lent.outputs, outputs) }, lentFeeds: lent.feeds };
    }
    const request = { kind: 'run' as const, session, feeds, lent };
    const { outputs, lentFeeds } = await this.behind.ask(request, buffersOf(lent.feeds, lent.outputs));
    return { outputs: outputs!, lentFeeds: lentFeeds! };
  }

  async close(): Promise<void> {
    await this.behind.ask({ kind: 'close', session: this.session });
  }
}

/** What has come from another process, in the memory that was lent for it. */
function filled(
  room: Readonly<Record<string, SentTensor>>,
  come: Readonly<Record<string, SentTensor>>,
): Record<string, SentTensor> {
  for (const [name, { data }] of Object.entries(room)) data.set(come[name]!.data as never);
  return room;
}

function ended(how: string): Failure {
  return new Failure(
    'inference-ended',
    `The process in which onnxruntime ran the model ended (${how}), most likely for want of memory: close other programs, or set fewer threads, and try again.`,
  );
}

import { replyIn, type Answered, type Listener, type StudioClient } from '../../src-main/studio/service/client.ts';
import type { CallName, ReplyOf, RequestOf } from '../../src-main/studio/service/calls.ts';
import type { StudioEvent } from '../../src-main/studio/service/events.ts';

/** What comes through the port: the main process's own words, which no page can put there. */
type Told = { id: number; answered: Answered } | { event: StudioEvent };

/** The studio over a message port, as the desktop's main process serves it (src-main/electron/port.ts). */
export class PortClient implements StudioClient {
  private readonly waiting = new Map<number, (answered: Answered) => void>();
  private readonly listeners = new Set<Listener>();
  private last = 0;

  /** What is asked before the other side listens waits in the port. */
  constructor(private readonly port: MessagePort) {
    port.onmessage = ({ data }: { data: unknown }) => this.hear(data as Told);
  }

  async call<Name extends CallName>(name: Name, request: RequestOf<Name>): Promise<ReplyOf<Name>> {
    const id = ++this.last;
    const answered = new Promise<Answered>((resolve) => this.waiting.set(id, resolve));
    this.port.postMessage({ id, name, request });
    return replyIn<Name>(await answered);
  }

  subscribe(listener: Listener): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  private hear(told: Told): void {
    if ('event' in told) for (const listener of this.listeners) listener(told.event);
    else {
      this.waiting.get(told.id)?.(told.answered);
      this.waiting.delete(told.id);
    }
  }
}

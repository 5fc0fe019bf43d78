/** The studio over a message port: how the window talks to the main process. */
import { z } from 'zod';
import type { CallName, ReplyOf, RequestOf } from '../studio/service/calls.ts';
import { replyIn, type Answered, type Listener, type StudioClient } from '../studio/service/client.ts';
import { studioEventSchema } from '../studio/service/events.ts';
import type { Studio } from '../studio/service/studio.ts';

/** What Electron's MessagePortMain, the web's MessagePort and Node's have in common, once wrapped. */
export interface Port {
  post(message: unknown): void;
  /** Called with each message; started at once. */
  listen(listener: (message: unknown) => void): void;
}

const askSchema = z.object({ id: z.int(), name: z.string(), request: z.unknown() });
const toldSchema = z.union([
  z.object({ id: z.int(), answered: z.custom<Answered>((value) => typeof value === 'object' && value !== null) }),
  z.object({ event: studioEventSchema }),
]);

/** Answers what comes through the port, and tells every event. @returns how to stop */
export function serveOnPort(studio: Studio, port: Port): () => void {
  port.listen((message) => {
    const asked = askSchema.safeParse(message);
    // Nothing but the window's own client posts here; what is no question has nobody to answer to.
    if (!asked.success) return;
    const { id, name, request } = asked.data;
    void studio.answer(name, request).then((answered) => port.post({ id, answered }));
  });
  return studio.subscribe((event) => port.post({ event }));
}

/** The window's end of the port. */
export function clientOnPort(port: Port): StudioClient {
  const waiting = new Map<number, (answered: Answered) => void>();
  const listeners = new Set<Listener>();
  let last = 0;
  port.listen((message) => {
    const told = toldSchema.parse(message);
    if ('event' in told) for (const listener of listeners) listener(told.event);
    else {
      waiting.get(told.id)?.(told.answered);
      waiting.delete(told.id);
    }
  });
  return {
    call: async <Name extends CallName>(name: Name, request: RequestOf<Name>): Promise<ReplyOf<Name>> => {
      const id = ++last;
      const answered = new Promise<Answered>((resolve) => waiting.set(id, resolve));
      port.post({ id, name, request });
      return replyIn<Name>(await answered);
    },
    subscribe: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

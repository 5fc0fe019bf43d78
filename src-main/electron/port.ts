/** The studio over a message port; the window's end of it is src-renderer/studio/port-client.ts. */
import { z } from 'zod';
import type { Studio } from '../studio/service/studio.ts';

/** What Electron's MessagePortMain and Node's MessagePort have in common, once wrapped. */
export interface Port {
  post(message: unknown): void;
  /** Called with each message; started at once. */
  listen(listener: (message: unknown) => void): void;
}

const askSchema = z.object({ id: z.int(), name: z.string(), request: z.unknown() });
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

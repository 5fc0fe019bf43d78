/** The process that started this one as one of its own (own-process.ts), by Node's channel or by Electron's. */

/** The part of Electron's `process.parentPort` that is used here. */
interface ParentPort {
  postMessage(message: unknown): void;
  on(event: 'message', listener: (event: { data: unknown }) => void): void;
}

/** What goes up through Electron's port, which has no way of its own to say that nothing more will come. */
export type ThroughPort = { told: unknown } | 'leaving';

const port = Reflect.get(process, 'parentPort') as ParentPort | undefined;

export const parent = {
  /** Sends what can be cloned; nothing happens where the parent is gone. */
  tell(message: unknown): void {
    if (port) port.postMessage({ told: message } satisfies ThroughPort);
    else if (process.connected) process.send?.(message, () => undefined);
  },

  listen(listener: (message: unknown) => void): void {
    if (port) port.on('message', ({ data }) => listener(data));
    else process.on('message', listener);
  },

  /** Called when the parent is gone. Electron ends its processes then, whatever they are at. */
  onGone(listener: () => void): void {
    process.on('disconnect', listener);
  },

  /** Nothing more will be told. The process ends when it is done with what it is at; Electron's is ended by its parent. */
  leave(): void {
    if (port) port.postMessage('leaving' satisfies ThroughPort);
    else if (process.connected) process.disconnect();
  },
};

import { keptEnd, type OwnProcess, type ProcessEnd } from '../base/own-process.ts';
import type { ThroughPort } from '../base/parent.ts';

/** The part of Electron's UtilityProcess that is used here. */
export interface Utility {
  /** Undefined until it has started, and once it has ended. */
  readonly pid: number | undefined;
  readonly stderr: NodeJS.ReadableStream | null;
  postMessage(message: unknown): void;
  kill(): boolean;
  on(event: 'message', listener: (message: unknown) => void): unknown;
  on(event: 'exit', listener: (code: number) => void): unknown;
}

/** @see parent.ts, which is the other side */
export function asOwnProcess(child: Utility): OwnProcess {
  const listeners: ((message: unknown) => void)[] = [];
  const endListeners: ((end: ProcessEnd) => void)[] = [];
  let complaint = '';
  let leaving = false;
  let gone = false;
  const kill = () => {
    if (gone || child.pid === undefined) {
      child.kill();
      return;
    }
    try {
      // `child.kill` asks politely, which the decoder takes for Ctrl-C and ignores.
      process.kill(child.pid, 'SIGKILL');
    } catch {
      // It ended meanwhile.
    }
  };
  child.stderr?.on('data', (text) => (complaint = keptEnd(complaint, text)));
  child.on('message', (raw) => {
    const message = raw as ThroughPort;
    if (message === 'leaving') {
      leaving = true;
      kill();
    } else for (const listener of listeners) listener(message.told);
  });
  child.on('exit', (code) => {
    gone = true;
    for (const listener of endListeners) listener({ how: `exit code ${leaving ? 0 : code}`, complaint });
  });
  return {
    get pid() {
      return child.pid;
    },
    tell: (message) => {
      if (!gone) child.postMessage(message);
    },
    onMessage: (listener) => listeners.push(listener),
    onEnd: (listener) => endListeners.push(listener),
    kill,
  };
}

/** Processes of our own: forked by Node, or by whatever the program that runs here has in its place. */
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { loaderArguments } from './fork-entry.ts';

export interface ProcessOptions {
  args?: readonly string[];
  /** Arguments of Node, not of the program. */
  execArgv?: readonly string[];
  env?: NodeJS.ProcessEnv;
  /** `keep` gives the end of it with the process's end. */
  stderr: 'ignore' | 'inherit' | 'keep';
}

export interface ProcessEnd {
  /** `exit code 3` or `SIGKILL`, or why it could not be started. */
  how: string;
  /** The last of what it wrote to stderr, where that was kept. */
  complaint: string;
}

/** How a process looks from the one that started it; behind `parent` of parent.ts it looks back. */
export interface OwnProcess {
  /** Undefined where it could not be started. */
  readonly pid: number | undefined;
  /** Sends what can be cloned; nothing happens where the process is gone. */
  tell(message: unknown): void;
  onMessage(listener: (message: unknown) => void): void;
  /** Called once, after everything that the process has told, also where it could not be started at all. */
  onEnd(listener: (end: ProcessEnd) => void): void;
  /** Ends it at once, as a crash would. */
  kill(): void;
}

export type ProcessStarter = (entry: string, options: ProcessOptions) => OwnProcess;

let starter: ProcessStarter = startWithNode;

/** Where Node cannot be forked (Electron without its RunAsNode fuse), something else starts all processes from now on. */
export function startProcessesWith(other: ProcessStarter): void {
  starter = other;
}

/** Whether processes can be started from here: Electron starts them from its main process alone. */
export function canStartProcesses(): boolean {
  return (Reflect.get(process, 'parentPort') as unknown) === undefined;
}

/** Starts a process whose entry is the file at `entry`, a `.js`, or under tsx and vitest a `.ts` source. */
export function startProcess(entry: URL, options: ProcessOptions): OwnProcess {
  const execArgv = [...(options.execArgv ?? []), ...loaderArguments(entry)];
  return starter(fileURLToPath(entry), { ...options, execArgv });
}

/** What is kept of a process's stderr: its end says why it ended. */
export function keptEnd(text: string, more: unknown): string {
  return (text + String(more)).slice(-4000);
}

function startWithNode(entry: string, { args = [], execArgv = [], env, stderr }: ProcessOptions): OwnProcess {
  const child = fork(entry, [...args], {
    serialization: 'advanced',
    execArgv: [...execArgv],
    env,
    stdio: ['ignore', stderr === 'inherit' ? 'inherit' : 'ignore', stderr === 'keep' ? 'pipe' : stderr, 'ipc'],
  });
  let complaint = '';
  child.stderr?.on('data', (text) => (complaint = keptEnd(complaint, text)));
  return {
    pid: child.pid,
    tell: (message) => {
      // It may end meanwhile, and says so by `onEnd`.
      if (child.connected) child.send(message as object, () => undefined);
    },
    onMessage: (listener) => child.on('message', listener),
    onEnd: (listener) => {
      let ended = false;
      const end = (how: string) => {
        if (!ended) listener({ how, complaint });
        ended = true;
      };
      child.on('error', (error) => {
        // Any other error is of a message or a signal, and the process lives.
        if (child.pid === undefined) end(error.message);
      });
      child.on('close', (code, signal) => end(signal ?? `exit code ${code}`));
    },
    kill: () => child.kill('SIGKILL'),
  };
}

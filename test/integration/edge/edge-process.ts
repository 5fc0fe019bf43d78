/** A real `sidetune edge serve`, in a process that may be killed. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { z } from 'zod';

const launcher = path.resolve(import.meta.dirname, '../../../src-main/cli/sidetune.mjs');
const started = z.object({ url: z.string(), port: z.number(), token: z.string().nullable() });

export interface EdgeProcess extends z.infer<typeof started> {
  child: ChildProcess;
  /** Its exit code, or the signal that ended it. */
  ended: Promise<number | string>;
  stop(signal?: NodeJS.Signals): Promise<number | string>;
}

/** Starts it and waits until it listens. @param under a program that starts it, with its arguments */
export async function startEdge(args: readonly string[], under: readonly string[] = []): Promise<EdgeProcess> {
  const [program, ...words] = [...under, process.execPath, launcher, '--json', 'edge', 'serve', '--port', '0', ...args];
  const child = spawn(program!, words, {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let complaint = '';
  child.stderr.on('data', (text: Buffer) => (complaint += text.toString()));
  const ended = once(child, 'exit').then(([code, signal]) => (code ?? signal) as number | string);
  const line = new Promise<string>((resolve) => {
    let text = '';
    child.stdout.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      if (text.includes('\n')) resolve(text);
    });
  });
  const first = await Promise.race([line, ended]);
  if (typeof first !== 'string' || !first.startsWith('{"url"'))
    throw new Error(`The server did not start: ${complaint}`);
  const stop = (signal: NodeJS.Signals = 'SIGKILL') => {
    child.kill(signal);
    return ended;
  };
  return { ...started.parse(JSON.parse(first)), child, ended, stop };
}

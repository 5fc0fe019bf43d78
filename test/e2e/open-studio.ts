/** A real server over a workspace, and a real browser on it. */
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { chromium, type Browser } from 'playwright';
import { z } from 'zod';

const launcher = fileURLToPath(new URL('../../src-main/cli/sidetune.mjs', import.meta.url));
const listening = z.object({ url: z.string(), port: z.number(), token: z.string() });

export interface Server {
  url: string;
  port: number;
  token: string;
  process: ChildProcess;
  /** Ends it as Ctrl-C does. */
  stop(): Promise<void>;
}

/** Starts `sidetune serve` on a free port, or on one that is given. */
export async function startServer(workspace: string, port = 0): Promise<Server> {
  const child = spawn(
    process.execPath,
    [launcher, 'serve', '--port', String(port), '--json', '--workspace', workspace],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  let complaint = '';
  child.stderr.on('data', (text) => (complaint += String(text)));
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const line = await Promise.race([
    new Promise<string>((resolve) => createInterface(child.stdout).once('line', resolve)),
    exited.then(() => Promise.reject(new Error(`the server ended: ${complaint}`))),
  ]);
  return {
    ...listening.parse(JSON.parse(line)),
    process: child,
    stop: async () => {
      child.kill('SIGINT');
      await exited;
    },
  };
}

/** Where a Chromium is: CHROMIUM, else Debian's. */
export const chromiumPath = process.env.CHROMIUM ?? '/usr/bin/chromium';
export const hasChromium = existsSync(chromiumPath);

/** @param flags more of Chromium's */
export function openBrowser(...flags: string[]): Promise<Browser> {
  return chromium.launch({
    executablePath: chromiumPath,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      ...flags,
    ],
  });
}

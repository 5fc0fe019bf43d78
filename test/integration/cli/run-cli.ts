import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import path from 'node:path';

const launcher = path.resolve(import.meta.dirname, '../../../src-main/cli/sidetune.mjs');

export interface Ended {
  code: number | null;
  stdout: string;
  stderr: string;
  /** The last line of stdout as JSON; undefined where it is none. */
  json: unknown;
}

export interface HowToRun {
  cwd?: string;
  env?: NodeJS.ProcessEnv;
  /** A file to write to, by its descriptor; a pipe that is read when left out. */
  stdout?: number;
  /** A program that starts it, with its arguments. */
  under?: readonly string[];
  /** May send it signals, or close its pipes. */
  onStart?: (child: ChildProcess) => void;
}

/** Runs the real command in a process of its own. */
export function runCli(
  args: readonly string[],
  { cwd, env, stdout: file, under = [], onStart }: HowToRun = {},
): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const [program, ...words] = [...under, process.execPath, launcher, ...args];
    const child = spawn(program!, words, {
      cwd,
      env: { ...process.env, ...env },
      stdio: ['ignore', file ?? 'pipe', 'pipe'],
    });
    let stdout = '';
    let stderr = '';
    child.stdout?.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
    child.stderr?.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, stdout, stderr, json: lastLine(stdout) }));
    onStart?.(child);
  });
}

function lastLine(stdout: string): unknown {
  try {
    return JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '');
  } catch {
    return undefined;
  }
}

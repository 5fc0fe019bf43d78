/** What `sidetune` runs: parses, executes, and ends with the exit code and the words that were promised. */
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { CommanderError } from 'commander';
import { describeEnding, EXIT, writeLog } from './errors.ts';
import { buildProgram } from './program.ts';
import { Session } from './session.ts';
import type { GlobalOptions } from './session.ts';

const commandLine = process.argv.slice(2);
const stop = new AbortController();
let session: Session | undefined;

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    if (stop.signal.aborted) process.exit(EXIT.interrupted);
    session?.remark('Stopping; once more ends at once.');
    stop.abort();
  });
}
// `sidetune runs list | head`: whoever reads has seen enough.
for (const stream of [process.stdout, process.stderr])
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    process.exit(EXIT.done);
  });
process.on('uncaughtException', (error) => void end(error));
process.on('unhandledRejection', (reason) => void end(reason));

try {
  await buildProgram((program) => {
    session = new Session(process, stop.signal, () => program.opts<GlobalOptions>());
    return session;
  }).parseAsync(commandLine, { from: 'user' });
  await leave(session?.exitCode ?? EXIT.done);
} catch (error) {
  await end(error);
}

/** Says what went wrong, once, and leaves. */
async function end(error: unknown): Promise<void> {
  // Help and the version were asked for and printed.
  if (error instanceof CommanderError && error.exitCode === 0) return leave(EXIT.done);
  session?.progress.finish();
  const interrupted = stop.signal.aborted ? session?.whenInterrupted : undefined;
  const ending = await describeEnding(error, interrupted, (whole) => writeLog(logFolder(), whole, commandLine));
  // Help after a missing command has been printed; there is nothing to add to it for people.
  const helped = error instanceof CommanderError && error.code === 'commander.help';
  if (!helped) process.stderr.write(`${ending.message}\n`);
  if (asksForJson())
    process.stdout.write(
      `${JSON.stringify({ error: { code: ending.code, message: helped ? 'No command was given.' : ending.message } })}\n`,
    );
  return leave(ending.exitCode);
}

/** Ends the process once everything that was written has gone out; helpers that still run do not hold it up. */
async function leave(exitCode: number): Promise<never> {
  for (const stream of [process.stdout, process.stderr])
    await new Promise<void>((resolve) => stream.write('', () => resolve()));
  process.exit(exitCode);
}

/** Known even where the command line could not be parsed. */
function asksForJson(): boolean {
  const flags = commandLine.includes('--') ? commandLine.slice(0, commandLine.indexOf('--')) : commandLine;
  return flags.includes('--json');
}

function logFolder(): string {
  const at = commandLine.indexOf('--workspace');
  const asked = at < 0 ? undefined : commandLine[at + 1];
  return join(resolve(asked ?? (process.env.SIDETUNE_HOME || join(homedir(), 'Sidetune'))), 'logs');
}

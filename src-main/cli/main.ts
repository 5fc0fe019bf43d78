/** What `sidetune` runs: parses, executes, and ends with the exit code and the words that were promised. */
import { CommanderError } from 'commander';
import { writeLog } from '../base/error-log.ts';
import { Failure } from '../base/failure.ts';
import { describeEnding, EXIT } from './errors.ts';
import { buildProgram } from './program.ts';
import { logFolder, Session } from './session.ts';
import type { GlobalOptions } from './session.ts';

/** What a running task gets to stop its processes and remove its temporary files once an error has come past it. */
const CLEAN_UP_MS = 3000;

const commandLine = process.argv.slice(2);
const stop = new AbortController();
let session: Session | undefined;
/** Whether it was the user who stopped the command. */
let interrupted = false;
/** The first error that came past the command instead of through it. */
let stray: { error: unknown } | undefined;
/** The exit code of a command that did not succeed, once that has been said; it is said once. */
let said: Promise<number> | undefined;

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    if (interrupted) endAtOnce(signal);
    interrupted = true;
    session?.remark('Stopping; once more ends at once.');
    stop.abort();
  });
}
// Progress that nobody sees is no reason to stop, and there is nowhere to say so.
process.stderr.on('error', () => undefined);
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  const readerLeft = error.code === 'EPIPE';
  // `sidetune runs list | head`: whoever reads has seen enough of the answer.
  if (readerLeft && (session?.answered || said)) return;
  fall(
    new Failure(
      'output',
      readerLeft
        ? 'Whatever read the output of this command has gone, so it was stopped.'
        : `The output cannot be written (${error.message}): write it to another place.`,
    ),
  );
});
process.on('uncaughtException', fall);
process.on('unhandledRejection', fall);

await leave(await run());

async function run(): Promise<number> {
  try {
    await buildProgram((program) => {
      session = new Session(process, stop.signal, () => program.opts<GlobalOptions>());
      return session;
    }).parseAsync(commandLine, { from: 'user' });
    await flushed();
  } catch (error) {
    return end(stray ? stray.error : error);
  }
  return stray ? end(stray.error) : (session?.exitCode ?? EXIT.done);
}

/** Stops the command because of an error that came past it; the command has some time to end by itself. */
function fall(error: unknown): void {
  if (stray) return;
  stray = { error };
  setTimeout(() => void end(error).then(leave), CLEAN_UP_MS);
  stop.abort();
}

function end(error: unknown): Promise<number> {
  said ??= sayEnding(error);
  return said;
}

/** Says what went wrong. @returns the exit code */
async function sayEnding(error: unknown): Promise<number> {
  // Help and the version were asked for and printed.
  if (error instanceof CommanderError && error.exitCode === 0) return EXIT.done;
  session?.progress.finish();
  const byUser = interrupted ? session?.whenInterrupted : undefined;
  const ending = await describeEnding(error, byUser, (whole) =>
    writeLog(session?.logFolder ?? logFolder(), whole, commandLine),
  );
  // Help after a missing command has been printed; there is nothing to add to it for people.
  const helped = error instanceof CommanderError && error.code === 'commander.help';
  if (!helped) process.stderr.write(`${ending.message}\n`);
  if (asksForJson())
    process.stdout.write(
      `${JSON.stringify({ error: { code: ending.code, message: helped ? 'No command was given.' : ending.message } })}\n`,
    );
  return ending.exitCode;
}

/**
 * Ends without a word, by the signal itself where the system has them: `process.exit` would wait for threads that run
 * models, and an addon that comes back to a thread without JavaScript aborts.
 */
function endAtOnce(signal: NodeJS.Signals): void {
  if (process.platform === 'win32') process.exit(EXIT.interrupted);
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
}

async function leave(exitCode: number): Promise<never> {
  await flushed();
  process.exit(exitCode);
}

/** Waits until everything that was written has gone out, or cannot. */
async function flushed(): Promise<void> {
  for (const stream of [process.stdout, process.stderr])
    await new Promise<void>((resolve) => stream.write('', () => resolve()));
}

/** Known even where the command line could not be parsed. */
function asksForJson(): boolean {
  const flags = commandLine.includes('--') ? commandLine.slice(0, commandLine.indexOf('--')) : commandLine;
  return flags.includes('--json');
}

/** How a command ends when it does not succeed: one sentence, an exit code, and a log where it was our fault. */
import { CommanderError } from 'commander';
import { describeError, type ToldError } from '../base/describe-error.ts';

export const EXIT = { done: 0, failed: 1, usage: 2, interrupted: 130 } as const;

export interface Ending extends ToldError {
  exitCode: number;
}

/** A wrong command line as one sentence, with commander's suggestion. */
export function usageSentence(message: string): string {
  const text = message
    .replace(/^error: /, '')
    .replaceAll(/\s*\n\s*/g, ' ')
    .replace(/\. Expected (\d+) arguments? but got (\d+)\.?/, ' ($2, not $1)')
    .replace(/ \(Did you mean (one of )?(.*?)\?\)$/, ': did you mean $1$2?')
    .trim();
  const sentence = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.?!]$/.test(sentence) ? sentence : `${sentence}.`;
}

/**
 * What to say and how to exit.
 * @param interrupted what to say when the user stopped the command; undefined when nobody did
 * @param log keeps the whole error and returns where
 */
export async function describeEnding(
  error: unknown,
  interrupted: string | undefined,
  log: (error: unknown) => Promise<string>,
): Promise<Ending> {
  if (interrupted !== undefined) return { exitCode: EXIT.interrupted, code: 'interrupted', message: interrupted };
  if (error instanceof CommanderError)
    return { exitCode: EXIT.usage, code: 'usage', message: usageSentence(error.message) };
  const told = await describeError(error, log);
  return { exitCode: told.code === 'usage' ? EXIT.usage : EXIT.failed, ...told };
}

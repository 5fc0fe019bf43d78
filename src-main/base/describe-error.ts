import { Failure } from './failure.ts';
import { systemFailure } from './system-failure.ts';

/** An error as it is told to a user: one sentence, and a code to tell kinds apart by. */
export interface ToldError {
  code: string;
  message: string;
}

/**
 * The sentence for any error: its own where it is the user's to mend, else that it was ours and where the whole of it is.
 * @param log keeps the whole error and returns where; asked only where there is more to it than the sentence
 */
export async function describeError(error: unknown, log: (error: unknown) => Promise<string>): Promise<ToldError> {
  const known = error instanceof Failure ? error : systemFailure(error);
  if (known) return { code: known.code, message: known.message };
  const [what] = (error instanceof Error ? error.message : String(error)).split('\n');
  const message = `Internal error: ${what || 'it says nothing more'} (the whole of it is in "${await log(error)}").`;
  return { code: 'internal', message };
}

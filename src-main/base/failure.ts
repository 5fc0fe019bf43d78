/**
 * An error that is the user's to mend: one sentence that says what was wrong, where, and what to do.
 * Whoever meets it prints `message` alone; any other error is a defect of ours.
 */
export class Failure extends Error {
  override readonly name = 'Failure';

  constructor(
    readonly code: string,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** The same failure, if it is one of `codes`, with what somebody who knows more advises; any other error as it is. */
export function advised(error: unknown, codes: readonly string[], advice: string): unknown {
  if (!(error instanceof Failure) || !codes.includes(error.code)) return error;
  return new Failure('damaged-file', `${error.message.replace(/\.$/, '')}; ${advice}.`, { cause: error });
}

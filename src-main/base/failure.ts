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

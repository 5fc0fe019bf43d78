/** A refusal: its status, and a sentence for whoever asked. */
export class HttpError extends Error {
  override readonly name = 'HttpError';

  constructor(
    readonly status: number,
    message: string,
    readonly headers: Readonly<Record<string, string>> = {},
  ) {
    super(message);
  }
}

/** The server has more to do than it will keep waiting. */
export function busy(seconds: number): HttpError {
  return new HttpError(503, `The server is busy: try again in ${seconds} s.`, { 'retry-after': String(seconds) });
}

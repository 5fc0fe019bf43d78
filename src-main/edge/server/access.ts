/** Who may use the server: whoever has the token; on loopback without one, this machine's own programs. */
import { createHash, timingSafeEqual } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { isIPv4 } from 'node:net';
import { Failure } from '../../base/failure.ts';
import { HttpError } from './http-error.ts';

/** Characters that a token has at least: fewer can be guessed. */
const SHORTEST = 16;

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIPv4(host) && host.startsWith('127.'));
}

/**
 * The token of a file, without the blanks around it.
 * @throws Failure `token-file`
 */
export async function readToken(file: string): Promise<string> {
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    throw new Failure('token-file', `The token file "${file}" cannot be read: check that it is there.`, {
      cause: error,
    });
  });
  const token = text.trim();
  if (token.length < SHORTEST || /[^\x21-\x7e]/.test(token))
    throw new Failure(
      'token-file',
      `The token in "${file}" has to be one word of at least ${SHORTEST} letters and digits: write a random one, such as "openssl rand -hex 24" prints.`,
    );
  return token;
}

/** @throws HttpError 401, 403 */
export function checkAccess({ headers }: IncomingMessage, token: string | undefined): void {
  if (token === undefined) {
    if (headers['sec-fetch-site'] === 'cross-site')
      throw new HttpError(403, 'Pages of other sites may not use this server.');
    return;
  }
  checkToken(headers.authorization, token);
}

/** @param authorization the header of this name, or the metadata. @throws HttpError 401 */
export function checkToken(authorization: string | undefined, token: string): void {
  const given = /^Bearer +(\S+) *$/i.exec(authorization ?? '')?.[1];
  if (given === undefined || !isEqual(given, token))
    throw new HttpError(401, 'This server wants its token: send it as "Authorization: Bearer TOKEN".', {
      'www-authenticate': 'Bearer',
    });
}

/** In a time that depends on neither length nor content of the token. */
function isEqual(given: string, token: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(given), digest(token));
}

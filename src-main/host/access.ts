/** Who may talk to the host: whoever has this start's token, from the studio's own pages, on this machine's own name. */
import { timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';

/** One start of the host. */
export interface Access {
  port: number;
  token: string;
}

/** The cookie that carries the token; cookies know no ports, so its name does. */
export function cookieName(port: number): string {
  return `sidetune-${port}`;
}

export interface Refusal {
  status: number;
  message: string;
}

/**
 * Why a request does not come from this studio's own pages or this machine's programs; undefined where it does. A
 * foreign page fails by its Origin, a name that was rebound to this machine by its Host.
 */
export function foreign({ headers }: IncomingMessage, port: number): Refusal | undefined {
  const names = ['127.0.0.1', 'localhost', '[::1]'].map((name) => `${name}:${port}`);
  const { host, origin } = headers;
  if (host === undefined || !names.includes(host))
    return { status: 421, message: 'This studio answers on this machine only, under the address that it printed.' };
  const site = headers['sec-fetch-site'];
  // A link to the studio from elsewhere may be followed; it still needs the token.
  const navigates = headers['sec-fetch-mode'] === 'navigate';
  const ownSite = site === undefined || site === 'same-origin' || site === 'none' || navigates;
  const ownOrigin = origin === undefined || names.some((name) => origin === `http://${name}`);
  if (ownSite && ownOrigin) return undefined;
  return { status: 403, message: 'Pages of other sites may not use this studio.' };
}

/** The refusal of a request that does not carry the token, be it by the cookie or by `Authorization: Bearer`. */
export function unknown({ headers }: IncomingMessage, { port, token }: Access): Refusal | undefined {
  const cookies = (headers.cookie ?? '').split(';').map((cookie) => cookie.trim().split('='));
  const cookie = cookies.find(([name]) => name === cookieName(port))?.[1];
  const bearer = /^Bearer (.+)$/.exec(headers.authorization ?? '')?.[1];
  return [cookie, bearer].some((given) => given !== undefined && isEqual(given, token)) ? undefined : NO_TOKEN;
}

export const NO_TOKEN: Refusal = {
  status: 401,
  message: 'Open the address that "sidetune serve" printed: it carries the key of this start.',
};

/** In a time that does not depend on where they differ. */
export function isEqual(given: string, token: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(token)];
  return a.length === b.length && timingSafeEqual(a, b);
}

/** The window's own addresses: one scheme, one place, and nothing else may be loaded, opened or gone to. */

/** Registered as standard and secure, so that pages have an origin and may be given the camera. */
export const SCHEME = 'sidetune';

/** The window's origin, as its pages see it. */
export const ORIGIN = `${SCHEME}://studio`;

/** Whether an address is the window's own. It is compared in parts: `sidetune://studio.elsewhere` begins alike. */
export function isOwn(address: string): boolean {
  const url = parsed(address);
  return url !== undefined && url.protocol === `${SCHEME}:` && url.host === 'studio' && url.username === '';
}

/** Whether the window may go to an address: to its one page, wherever in it. */
export function mayNavigate(address: string): boolean {
  return isOwn(address) && ['', '/', '/index.html'].includes(parsed(address)!.pathname);
}

/** Whether a page may load an address at all: what it made itself, and its own; no network. */
export function mayLoad(address: string): boolean {
  const protocol = parsed(address)?.protocol ?? '';
  return isOwn(address) || protocol === 'data:' || (protocol === 'blob:' && isOwn(address.slice('blob:'.length)));
}

function parsed(address: string): URL | undefined {
  return URL.canParse(address) ? new URL(address) : undefined;
}

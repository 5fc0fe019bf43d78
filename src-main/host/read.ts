/** What can be read at the studio's addresses, over HTTP and over the desktop's own protocol alike. */
import type { Studio } from '../studio/service/studio.ts';
import type { Pages } from './pages.ts';

export interface Answer {
  status: number;
  headers: Record<string, string>;
  body: Uint8Array | string;
}

/** Longest sides in pixels, by what a picture is for: a place in a grid, sharp on screens of twice the density, or a look at it. */
const SIDES = { small: 216, large: 1024 };

/** A picture of a dataset, or a file of the window; addresses are looked up and never joined to a path. */
export async function read(studio: Studio, pages: Pages, pathname: string): Promise<Answer> {
  const picture = /^\/picture\/([^/]+)\/(\d{1,9})(\/large)?$/.exec(pathname);
  if (picture) return readPicture(studio, picture[1]!, Number(picture[2]), SIDES[picture[3] ? 'large' : 'small']);
  const page = pages.get(pathname === '/' ? '/index.html' : pathname);
  return page ? { status: 200, ...page } : words(404, 'There is nothing at this address.');
}

/** @param encoded name of the dataset, as it stands in the address */
async function readPicture(studio: Studio, encoded: string, index: number, longest: number): Promise<Answer> {
  const dataset = decoded(encoded);
  const body = dataset === undefined ? undefined : await studio.thumbnail(dataset, index, longest);
  if (!body) return words(404, 'There is no such picture.');
  // The same place may hold another picture once the dataset has been imported again.
  return { status: 200, headers: { 'content-type': 'image/jpeg', 'cache-control': 'private, max-age=60' }, body };
}

/** A part of an address as it was meant; undefined where it is none. */
export function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

/** An answer to be read by a person. */
export function words(status: number, message: string): Answer {
  return {
    status,
    headers: { 'content-type': 'text/plain; charset=utf-8', 'cache-control': 'no-store' },
    body: `${message}\n`,
  };
}

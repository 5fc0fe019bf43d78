import { SECURITY_HEADERS, type Pages } from '../host/pages.ts';
import { read, words, type Answer } from '../host/read.ts';
import type { Studio } from '../studio/service/studio.ts';
import { isOwn } from './addresses.ts';

/** What the window's scheme answers: the same files and pictures as the host, under the same headers. */
export async function answerAddress(
  studio: Studio,
  pages: Pages,
  { method, url }: { method: string; url: string },
): Promise<Answer> {
  const answer =
    method !== 'GET'
      ? words(405, 'This address can only be read.')
      : isOwn(url)
        ? await read(studio, pages, new URL(url).pathname || '/')
        : words(404, 'There is nothing at this address.');
  return { ...answer, headers: { ...SECURITY_HEADERS, ...answer.headers } };
}

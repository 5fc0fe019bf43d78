import { open } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import type { Studio } from '../studio/service/studio.ts';
import { decoded, words, type Answer } from './read.ts';

/** An answer that may be too large to be held. */
export type StreamedAnswer = Omit<Answer, 'body'> & { body: Readable };

/**
 * A file of an export, to be saved by a browser; undefined where the address is none. Run, export and file are looked up
 * by their exact names, so that no address leads elsewhere.
 */
export async function readExported(studio: Studio, pathname: string): Promise<Answer | StreamedAnswer | undefined> {
  const [, encodedRun, id, encodedName] = /^\/exported\/([^/]+)\/([0-9a-f]{12})\/([^/]+)$/.exec(pathname) ?? [];
  if (encodedRun === undefined || id === undefined || encodedName === undefined) return undefined;
  const [run, name] = [decoded(encodedRun), decoded(encodedName)];
  const path = run !== undefined && name !== undefined && (await studio.exportedFile(run, id, name));
  if (!path) return words(404, 'There is no such file.');
  const file = await open(path);
  const { size } = await file.stat();
  return {
    status: 200,
    headers: {
      'content-type': 'application/octet-stream',
      'content-disposition': `attachment; filename="${name}"`,
      'content-length': String(size),
      'cache-control': 'no-store',
    },
    body: file.createReadStream(),
  };
}

import type { IncomingMessage } from 'node:http';
import { MOST_PICTURE_BYTES } from '../studio/service/calls.ts';
import type { Studio } from '../studio/service/studio.ts';
import { cookieName, foreign, isEqual, NO_TOKEN, unknown, type Access } from './access.ts';
import type { Pages } from './pages.ts';
import type { UploadLimits } from '../studio/datasets/uploads.ts';
import { readExported, type StreamedAnswer } from './exported.ts';
import { read, words, type Answer } from './read.ts';
import { receiveUpload, takerAt } from './upload.ts';

/** The largest body of a call: settings and names are small. */
const MOST_BODY_BYTES = 1 << 20;

/** What is answered over HTTP: the way in, the studio's calls, and the window's files. */
export class Routes {
  constructor(
    private readonly studio: Studio,
    private readonly pages: Pages,
    private readonly access: Access,
    private readonly uploadLimits?: UploadLimits,
  ) {}

  async answer(request: IncomingMessage): Promise<Answer | StreamedAnswer> {
    const { port } = this.access;
    const { pathname, searchParams } = new URL(request.url ?? '/', `http://127.0.0.1:${port}`);
    const key = request.method === 'GET' && pathname === '/' ? searchParams.get('token') : null;
    const refused = foreign(request, port) ?? (key === null ? unknown(request, this.access) : undefined);
    if (refused) return words(refused.status, refused.message);
    if (key !== null) return this.enter(key);
    if (request.method === 'POST' && pathname.startsWith('/call/'))
      return this.call(pathname.slice('/call/'.length), request, searchParams.get('request'));
    const take = request.method === 'POST' && takerAt(pathname);
    if (take) return receiveUpload(this.studio, request, take, this.uploadLimits);
    if (request.method !== 'GET') return words(405, 'This address can only be read.');
    return (await readExported(this.studio, pathname)) ?? read(this.studio, this.pages, pathname);
  }

  /** Takes the token out of the address bar and history, into a cookie that scripts cannot read. */
  private enter(key: string): Answer {
    const { port, token } = this.access;
    if (!isEqual(key, token)) return words(NO_TOKEN.status, NO_TOKEN.message);
    const cookie = `${cookieName(port)}=${token}; HttpOnly; SameSite=Strict; Path=/`;
    return { status: 303, headers: { 'set-cookie': cookie, location: '/', 'cache-control': 'no-store' }, body: '' };
  }

  /** @param beside the request of a call that carries bytes, as JSON: these are the body then, and its `bytes` */
  private async call(name: string, request: IncomingMessage, beside: string | null): Promise<Answer> {
    const body = await readBody(request, beside === null ? MOST_BODY_BYTES : MOST_PICTURE_BYTES);
    if (body === undefined && beside !== null)
      return words(413, 'The picture is larger than 64 MB: scale it down, and try again.');
    if (body === undefined) return words(413, 'The request is too large.');
    let payload: unknown;
    try {
      payload =
        beside === null
          ? JSON.parse(body.toString('utf8') || '{}')
          : { ...(JSON.parse(beside) as object), bytes: new Uint8Array(body) };
    } catch {
      return words(400, 'The request is not JSON.');
    }
    const answered = await this.studio.answer(name, payload);
    return {
      status: 200,
      headers: { 'content-type': 'application/json', 'cache-control': 'no-store' },
      body: JSON.stringify(answered),
    };
  }
}

async function readBody(request: IncomingMessage, most: number): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  // Left open where it is too long: whoever sends it is to read why.
  for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > most) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

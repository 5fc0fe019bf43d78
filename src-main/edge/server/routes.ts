/** What is answered over HTTP: the Open Inference Protocol with Triton's extensions, and Prometheus' figures. */
import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { promisify } from 'node:util';
import { deflate, gzip } from 'node:zlib';
import { decodeRequest, encodeResponse, HEADER_LENGTH, type Encoded } from '../../oip/messages.ts';
import { ProtocolError } from '../../oip/protocol-error.ts';
import { checkAccess } from './access.ts';
import { HttpError } from './http-error.ts';
import { metricsText } from './metrics.ts';
import type { BodyRoom } from './read-body.ts';
import type { ServedModel } from './served-model.ts';
import type { ServedModels } from './served-models.ts';
import { add } from './statistics.ts';

export interface Answer {
  status: number;
  headers: Record<string, string>;
  parts: readonly Uint8Array[];
}

export interface RoutesParts {
  models: ServedModels;
  room: BodyRoom;
  token: string | undefined;
}

const PACKERS = { gzip: promisify(gzip), deflate: promisify(deflate) };

export class Routes {
  constructor(private readonly parts: RoutesParts) {}

  /**
   * @param signal aborts when nobody waits for the answer any more
   * @param proceed of a client that sends the body once it is told to
   * @throws HttpError, ProtocolError; anything else is a defect
   */
  async answer(request: IncomingMessage, signal: AbortSignal, proceed?: () => void): Promise<Answer> {
    const { models, room, token } = this.parts;
    const path = pathOf(request);
    // Whoever looks after the machine may know that it runs without knowing the token.
    if (path.length === 3 && path[0] === 'v2' && path[1] === 'health') {
      allow(request, 'GET');
      if (path[2] === 'live') return json({ live: true });
      if (path[2] === 'ready') return json({ ready: models.isReady }, models.isReady ? 200 : 503);
    }
    checkAccess(request, token);
    if (path.length === 1 && path[0] === 'metrics') {
      allow(request, 'GET');
      return text(metricsText(models.all, room.bytes));
    }
    if (path[0] !== 'v2') throw nothingHere();
    if (path.length === 1) {
      allow(request, 'GET');
      return json(models.metadata());
    }
    if (path[1] === 'repository') return this.repository(path.slice(2), request);
    if (path[1] !== 'models') throw nothingHere();
    return this.model(path.slice(2), request, signal, proceed);
  }

  private repository(path: readonly string[], request: IncomingMessage): Answer {
    allow(request, 'POST');
    if (path.length === 1 && path[0] === 'index') return json(this.parts.models.index());
    if (path[0] === 'models')
      throw new HttpError(400, 'This server offers what it was started with, and loads nothing.');
    throw nothingHere();
  }

  private async model(
    path: readonly string[],
    request: IncomingMessage,
    signal: AbortSignal,
    proceed?: () => void,
  ): Promise<Answer> {
    const { models } = this.parts;
    const [name = '', ...rest] = path;
    if (name === 'stats' && rest.length === 0) {
      allow(request, 'GET');
      return json(models.statistics());
    }
    const versioned = rest[0] === 'versions' ? rest.splice(0, 2) : undefined;
    const model = models.find(name, versioned && (versioned[1] ?? ''));
    if (rest.length > 1) throw nothingHere();
    if (rest[0] === 'infer') {
      allow(request, 'POST');
      return this.infer(model, request, signal, proceed);
    }
    allow(request, 'GET');
    switch (rest[0]) {
      case undefined:
        return json(model.metadata());
      case 'ready':
        return json({ name, ready: models.isReady }, models.isReady ? 200 : 503);
      case 'config':
        return json(model.config());
      case 'stats':
        return json(models.statistics([model]));
      default:
        throw nothingHere();
    }
  }

  private async infer(
    model: ServedModel,
    request: IncomingMessage,
    signal: AbortSignal,
    proceed?: () => void,
  ): Promise<Answer> {
    const { models, room } = this.parts;
    const { statistics } = model;
    // Others send the whole body whatever is answered, and would miss an answer that closes the connection on them.
    const ready = () => {
      if (!proceed) return;
      model.checkRoom();
      proceed();
    };
    return models.counted(model, () =>
      room.with(request, ready, async (body, received) => {
        statistics.bytesReceived += received;
        const headerLength = headerLengthOf(request);
        const asked = headerLength === 0 ? model.rawRequest(body) : decodeRequest(body, headerLength);
        const arrived = performance.now();
        const response = await model.infer(asked, signal);
        const inferred = performance.now();
        const answer = await packed(request, encodeResponse(response));
        add(statistics.computeOutput, performance.now() - inferred);
        statistics.bytesSent += answer.parts.reduce((sum, { byteLength }) => sum + byteLength, 0);
        answer.headers['server-timing'] = `infer;dur=${(inferred - arrived).toFixed(2)}`;
        return answer;
      }),
    );
  }
}

/** The parts of a path, decoded. @throws HttpError 400 */
function pathOf({ url = '/' }: IncomingMessage): string[] {
  try {
    const [path = '/'] = url.split(/[?#]/, 1);
    return path
      .replace(/^\/+|\/+$/g, '')
      .split('/')
      .map(decodeURIComponent);
  } catch {
    throw new HttpError(400, 'The address cannot be read.');
  }
}

function allow({ method }: IncomingMessage, allowed: 'GET' | 'POST'): void {
  if (method !== allowed && !(method === 'HEAD' && allowed === 'GET'))
    throw new HttpError(405, `This address takes ${allowed}.`, { allow: allowed });
}

function headerLengthOf({ headers }: IncomingMessage): number | undefined {
  const stated = headers[HEADER_LENGTH];
  if (stated === undefined) return undefined;
  if (typeof stated !== 'string' || !/^\d{1,15}$/.test(stated))
    throw new ProtocolError('Inference-Header-Content-Length has to be a whole number from 0 on.');
  return Number(stated);
}

/** The body, packed where that was asked for by name. */
async function packed({ headers }: IncomingMessage, { parts, headerLength }: Encoded): Promise<Answer> {
  const own: Record<string, string> = {
    'content-type': headerLength === undefined ? 'application/json' : 'application/octet-stream',
    ...(headerLength === undefined ? {} : { [HEADER_LENGTH]: String(headerLength) }),
  };
  const accepted = (headers['accept-encoding'] ?? '').split(',').map((coding) => coding.trim().toLowerCase());
  const coding = accepted.length === 1 ? accepted[0] : undefined;
  let body = parts;
  if (coding === 'gzip' || coding === 'deflate') {
    body = [await PACKERS[coding](Buffer.concat(parts), { level: 1 })];
    own['content-encoding'] = coding;
  }
  return { status: 200, headers: { ...own, ...digestOf(body) }, parts: body };
}

/** The header by which whoever gets the body knows that it is whole (RFC 9530). */
function digestOf(parts: readonly Uint8Array[]): Record<string, string> {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return { 'content-digest': `sha-256=:${hash.digest('base64')}:` };
}

export function json(value: unknown, status = 200): Answer {
  const parts = [Buffer.from(JSON.stringify(value))];
  return { status, headers: { 'content-type': 'application/json', ...digestOf(parts) }, parts };
}

function text(words: string): Answer {
  return { status: 200, headers: { 'content-type': 'text/plain; version=0.0.4' }, parts: [Buffer.from(words)] };
}

function nothingHere(): HttpError {
  return new HttpError(404, 'There is nothing at this address: the protocol begins at /v2.');
}

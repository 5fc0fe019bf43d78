/** The server's connections: what is accepted, for how long, and how it ends. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Server as NetServer, Socket } from 'node:net';
import { Failure } from '../../base/failure.ts';
import { ProtocolError } from '../../oip/protocol-error.ts';
import { HttpError } from './http-error.ts';
import type { Limits } from './limits.ts';
import { json, type Answer } from './routes.ts';

export interface Listening {
  port: number;
  /** Answers what has been accepted and nothing more; resolves when that is done. */
  drain(): Promise<void>;
}

export interface ListenOptions {
  host: string;
  /** 0 picks one. */
  port: number;
  tls?: { cert: Buffer; key: Buffer };
  limits: Limits;
  /** @param proceed has the body sent by a client that waits to be asked for it; undefined for one that does not wait */
  answer: (request: IncomingMessage, signal: AbortSignal, proceed?: () => void) => Promise<Answer>;
  /** Told of errors that are nobody's but ours. */
  onDefect: (error: unknown) => void;
}

const HEADERS_MS = 15_000;
const IDLE_MS = 30_000;
/** What is left of a refused request is read for so long, so that the refusal is. */
const LINGER_MS = 500;

/** @throws Failure `port`, `tls` */
export async function listen(options: ListenOptions): Promise<Listening> {
  const { limits, tls } = options;
  const timing = {
    headersTimeout: Math.min(HEADERS_MS, limits.receiveMs),
    requestTimeout: limits.receiveMs,
    keepAliveTimeout: IDLE_MS,
    connectionsCheckingInterval: 1000,
    maxHeaderSize: 16 * 1024,
  };
  const server = createFor(tls, timing);
  server.maxConnections = limits.connections;
  let draining = false;
  const inFlight = new Set<Promise<void>>();

  const take = (request: IncomingMessage, response: ServerResponse, proceed?: () => void) => {
    const answered = respond(request, response, options, () => draining, proceed).catch(options.onDefect);
    inFlight.add(answered);
    void answered.then(() => inFlight.delete(answered));
  };
  server.on('request', (request: IncomingMessage, response: ServerResponse) => take(request, response));
  // Sent with `Expect: 100-continue`: what is refused need not be sent at all.
  server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) =>
    take(request, response, () => response.writeContinue()),
  );
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => refuseConnection(error, socket));

  const port = await openPort(server, { ...options, flag: '--port' });
  return {
    port,
    drain: async () => {
      draining = true;
      const closed = new Promise((resolve) => server.close(resolve));
      const patience = AbortSignal.timeout(limits.drainMs);
      const outOfPatience = new Promise((resolve) => patience.addEventListener('abort', resolve));
      // A connection that is open may bring another request, which is told that the server stops.
      while (inFlight.size > 0 && !patience.aborted) await Promise.race([Promise.all(inFlight), outOfPatience]);
      // Answers that are on their way arrive; connections that wait for nothing are let go.
      server.closeIdleConnections();
      await Promise.race([closed, new Promise((resolve) => setTimeout(resolve, LINGER_MS))]);
      server.closeAllConnections();
      await closed;
    },
  };
}

function createFor(tls: ListenOptions['tls'], timing: object): Server {
  if (!tls) return createServer(timing);
  try {
    return createTlsServer({ ...timing, ...tls, handshakeTimeout: HEADERS_MS });
  } catch (error) {
    throw new Failure(
      'tls',
      'The certificate and the key do not go together, or are not PEM: give the two files of one certificate.',
      { cause: error },
    );
  }
}

/** @param flag by which a user chooses the port. @returns the port. @throws Failure `port` */
export function openPort(
  server: NetServer,
  { host, port, flag }: { host: string; port: number; flag: string },
): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const why =
        error.code === 'EADDRINUSE'
          ? `Port ${port} is in use by another program: choose another with ${flag}, or ${flag} 0 for any.`
          : `Nothing can listen at ${host}, port ${port} (${error.message}): choose others with --host and ${flag}.`;
      reject(new Failure('port', why, { cause: error }));
    });
    server.listen(port, host, () => resolve((server.address() as AddressInfo).port));
  });
}

/** Resolves when the answer has gone out, or the other side. */
async function respond(
  request: IncomingMessage,
  response: ServerResponse,
  { answer, onDefect, limits }: ListenOptions,
  isDraining: () => boolean,
  proceed?: () => void,
): Promise<void> {
  const left = new AbortController();
  response.on('close', () => left.abort(new Error('The client has gone.')));
  response.on('error', () => undefined);
  const { status, headers, parts } = await answer(request, left.signal, proceed).catch((error: unknown) => {
    if (left.signal.aborted) return GONE;
    return refusal(error, onDefect);
  });
  if (response.destroyed) return;
  const bytes = parts.reduce((sum, { byteLength }) => sum + byteLength, 0);
  const unread = !request.complete;
  if (unread || isDraining()) response.setHeader('connection', 'close');
  response.writeHead(status, { ...headers, 'content-length': String(bytes) });
  response.setTimeout(limits.sendMs, () => response.destroy());
  if (request.method !== 'HEAD') for (const part of parts) response.write(part);
  await new Promise<void>((resolve) => {
    response.on('close', resolve);
    response.end(resolve);
  });
  if (!unread) return;
  request.resume();
  setTimeout(() => request.socket.destroy(), LINGER_MS).unref();
}

const GONE: Answer = { status: 499, headers: {}, parts: [] };

function refusal(error: unknown, onDefect: (error: unknown) => void): Answer {
  if (error instanceof ProtocolError) return json({ error: error.message }, 400);
  if (error instanceof HttpError) {
    const answer = json({ error: error.message }, error.status);
    return { ...answer, headers: { ...answer.headers, ...error.headers } };
  }
  onDefect(error);
  return json({ error: 'The server failed at this request; its log says why.' }, 500);
}

/** What is no HTTP request, or not in time. */
function refuseConnection({ code }: NodeJS.ErrnoException, socket: Socket): void {
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  const status =
    code === 'HPE_HEADER_OVERFLOW'
      ? '431 Request Header Fields Too Large'
      : code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? '408 Request Timeout'
        : '400 Bad Request';
  const body = JSON.stringify({ error: 'The request cannot be read as HTTP.' });
  socket.end(
    `HTTP/1.1 ${status}\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n${body}`,
  );
  // Who does not close its side either is let go.
  setTimeout(() => socket.destroy(), LINGER_MS).unref();
}

/** Requests to a server, one by one: over connections that are kept, within a time, with what they cost. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { Agent as HttpAgent, request as httpRequest, type IncomingMessage, type RequestOptions } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import type { Socket } from 'node:net';
import { Failure } from '../base/failure.ts';

/** The environment variable with the token, for machines that keep no file of it. */
export const TOKEN_VARIABLE = 'SIDETUNE_EDGE_TOKEN';

export interface ServerAccess {
  /** A file with the word that the server wants; the environment's goes before it. */
  tokenFile?: string;
  /** A file with the certificate that the server's is to be checked by, PEM. */
  caFile?: string;
}

export interface Exchange {
  status: number;
  headers: IncomingMessage['headers'];
  body: Buffer;
  /** Bytes over the wire, heads included. */
  up: number;
  down: number;
  /** From the first byte sent to the last received, seconds. */
  seconds: number;
}

export interface Asked {
  method?: 'GET' | 'POST';
  headers?: Record<string, string>;
  parts?: readonly Uint8Array[];
  /** Silence after which it is given up, milliseconds. */
  patienceMs?: number;
  signal?: AbortSignal;
}

/** An answer has no more bytes than this: more than any that is asked for here. */
const MOST_BYTES = 2 ** 30;
const PATIENCE_MS = 120_000;
/** Connections at a time. */
const CONNECTIONS = 4;

export class Connection {
  private constructor(
    readonly server: string,
    private readonly agent: HttpAgent,
    private readonly token: string | undefined,
  ) {}

  /** Nothing is sent yet. @throws Failure `token-file`, `tls` */
  static async open(server: string, { tokenFile, caFile }: ServerAccess): Promise<Connection> {
    const token = process.env[TOKEN_VARIABLE] ?? (tokenFile === undefined ? undefined : await readWord(tokenFile));
    const options = { keepAlive: true, maxSockets: CONNECTIONS };
    const secure = server.startsWith('https:');
    const ca = caFile === undefined ? undefined : await readCertificate(caFile);
    return new Connection(
      server,
      secure ? new HttpsAgent({ ...options, ...trusting(ca) }) : new HttpAgent(options),
      token?.trim(),
    );
  }

  /** @throws Error of the network, or that the answer is not what was sent; the signal's reason */
  ask(
    path: string,
    { method = 'GET', headers = {}, parts = [], patienceMs = PATIENCE_MS, signal }: Asked = {},
  ): Promise<Exchange> {
    signal?.throwIfAborted();
    const bytes = parts.reduce((sum, part) => sum + part.byteLength, 0);
    const options: RequestOptions = {
      method,
      agent: this.agent,
      signal,
      timeout: patienceMs,
      headers: {
        ...headers,
        ...(method === 'POST' ? { 'content-length': String(bytes) } : {}),
        ...(this.token === undefined ? {} : { authorization: `Bearer ${this.token}` }),
      },
    };
    const begun = performance.now();
    return new Promise((resolve, reject) => {
      const send = this.server.startsWith('https:') ? httpsRequest : httpRequest;
      const request = send(`${this.server}${path}`, options);
      let socket: Socket | undefined;
      let before = { up: 0, down: 0 };
      request.on('socket', (own) => {
        socket = own;
        before = { up: own.bytesWritten, down: own.bytesRead };
      });
      request.on('timeout', () => request.destroy(new Error(`no answer within ${patienceMs / 1000} s`)));
      request.on('error', (error) => reject(signal?.aborted ? (signal.reason as Error) : error));
      request.on('response', (response) => {
        readAnswer(response).then(
          (body) =>
            resolve({
              status: response.statusCode ?? 0,
              headers: response.headers,
              body,
              up: (socket?.bytesWritten ?? 0) - before.up,
              down: (socket?.bytesRead ?? 0) - before.down,
              seconds: (performance.now() - begun) / 1000,
            }),
          (error: unknown) => {
            // Whatever is wrong may be with this connection.
            socket?.destroy();
            reject(signal?.aborted ? (signal.reason as Error) : (error as Error));
          },
        );
      });
      for (const part of parts) request.write(part);
      request.end();
    });
  }

  close(): void {
    this.agent.destroy();
  }
}

async function readAnswer(response: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MOST_BYTES) throw new Error('the answer is too long');
    chunks.push(chunk);
  }
  const body = Buffer.concat(chunks, bytes);
  const digest = /sha-256=:([^:]*):/.exec(String(response.headers['content-digest'] ?? ''))?.[1];
  if (digest !== undefined && digest !== createHash('sha256').update(body).digest('base64'))
    throw new Error('the answer was damaged on its way');
  return body;
}

async function readWord(file: string): Promise<string> {
  return readFile(file, 'utf8').catch((error: unknown) => {
    throw new Failure('token-file', `The token file "${file}" cannot be read: check that it is there.`, {
      cause: error,
    });
  });
}

/** A server's own certificate will do, whoever has signed it. */
const trusting = (ca: Buffer | undefined) => (ca === undefined ? {} : { ca, allowPartialTrustChain: true });

async function readCertificate(file: string): Promise<Buffer> {
  return readFile(file).catch((error: unknown) => {
    throw new Failure('tls', `The certificate "${file}" cannot be read: check that it is there.`, { cause: error });
  });
}

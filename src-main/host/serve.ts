/** The studio over HTTP and WebSocket, for browsers and for boxes without a screen; bound to loopback. */
import { randomBytes } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pipeline, Readable } from 'node:stream';
import { WebSocketServer, type WebSocket } from 'ws';
import { Failure } from '../base/failure.ts';
import type { Studio } from '../studio/service/studio.ts';
import type { UploadLimits } from '../studio/datasets/uploads.ts';
import { foreign, unknown } from './access.ts';
import { SECURITY_HEADERS, type Pages } from './pages.ts';
import { Routes } from './routes.ts';

export interface Host {
  /** With the token: what to open. */
  url: string;
  port: number;
  token: string;
  close(): Promise<void>;
}

export interface HostOptions {
  studio: Studio;
  pages: Pages;
  /** 0 picks one. */
  port: number;
  /** Of folders that are sent; usual ones when left out. */
  uploadLimits?: UploadLimits;
}

const PING_MS = 20_000;

/** @throws Failure `port` where the port cannot be had */
export async function startHost({ studio, pages, port: wanted, uploadLimits }: HostOptions): Promise<Host> {
  const token = randomBytes(24).toString('base64url');
  const server = createServer();
  const port = await listen(server, wanted);
  const access = { port, token };

  const routes = new Routes(studio, pages, access, uploadLimits);
  server.on('request', (request, response) => {
    void routes.answer(request).then(
      ({ status, headers, body }) => {
        response.writeHead(status, { ...SECURITY_HEADERS, ...headers });
        if (body instanceof Readable) pipeline(body, response, () => undefined);
        else response.end(body);
      },
      () => response.destroy(),
    );
  });

  const sockets = new WebSocketServer({ noServer: true, maxPayload: 1024 });
  server.on('upgrade', (request, socket, head) => {
    const refused =
      request.url === '/events' ? (foreign(request, port) ?? unknown(request, access)) : { status: 404, message: '' };
    if (refused) socket.end(`HTTP/1.1 ${refused.status} Refused\r\nConnection: close\r\n\r\n`);
    else sockets.handleUpgrade(request, socket, head, (opened) => follow(opened, studio));
  });

  return {
    url: `http://127.0.0.1:${port}/?token=${token}`,
    port,
    token,
    close: async () => {
      for (const client of sockets.clients) client.terminate();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function listen(server: Server, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const why = error.code === 'EADDRINUSE' ? 'is in use by another program' : 'cannot be opened';
      reject(
        new Failure('port', `Port ${port} ${why}: choose another with --port, or --port 0 for any.`, { cause: error }),
      );
    });
    server.listen(port, '127.0.0.1', () => resolve((server.address() as AddressInfo).port));
  });
}

/** Tells a client every event as one JSON message; one that no longer answers is let go. */
function follow(socket: WebSocket, studio: Studio): void {
  const stop = studio.subscribe((event) => socket.send(JSON.stringify(event)));
  let alive = true;
  socket.on('pong', () => (alive = true));
  const timer = setInterval(() => {
    if (!alive) socket.terminate();
    alive = false;
    socket.ping();
  }, PING_MS);
  socket.on('error', () => socket.terminate());
  socket.on('close', () => {
    clearInterval(timer);
    stop();
  });
}

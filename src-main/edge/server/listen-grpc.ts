/** The server's gRPC connections: who is let in, how much is taken in at a time, and how it ends. */
import { createServer, type Socket } from 'node:net';
import {
  Metadata,
  Server,
  ServerCredentials,
  ServerInterceptingCall,
  status as GrpcStatus,
  type sendUnaryData,
  type ServerInterceptor,
  type ServerUnaryCall,
  type StatusObject,
} from '@grpc/grpc-js';
import { Failure } from '../../base/failure.ts';
import { rawService } from '../../oip/grpc/service.ts';
import { ProtocolError } from '../../oip/protocol-error.ts';
import { checkToken } from './access.ts';
import type { GrpcAnswer } from './grpc-answers.ts';
import { HttpError } from './http-error.ts';
import type { Limits } from './limits.ts';
import { openPort, type Listening } from './listen.ts';

export interface ListenGrpcOptions {
  host: string;
  /** 0 picks one. */
  port: number;
  tls?: { cert: Buffer; key: Buffer };
  token: string | undefined;
  limits: Limits;
  answers: Readonly<Record<string, GrpcAnswer>>;
  /** Told of errors that are nobody's but ours. */
  onDefect: (error: unknown) => void;
}

/** Requests of one connection at a time. */
const STREAMS = 64;
const IDLE_MS = 60_000;
/** How often it is seen whether the other side is there, and how long that may take. */
const PING_MS = 30_000;
const PONG_MS = 10_000;
/** A connection is renewed now and then: one over which answers are asked for and not read ends by that. */
const AGE_MS = 15 * 60_000;

/** @throws Failure `port`, `tls` */
export async function listenGrpc(options: ListenGrpcOptions): Promise<Listening> {
  const { limits, answers, onDefect } = options;
  const server = new Server({
    'grpc.max_receive_message_length': limits.requestBytes,
    'grpc.max_send_message_length': -1,
    'grpc.max_concurrent_streams': STREAMS,
    'grpc.max_connection_idle_ms': IDLE_MS,
    'grpc.keepalive_time_ms': PING_MS,
    'grpc.keepalive_timeout_ms': PONG_MS,
    'grpc.max_connection_age_ms': AGE_MS,
    'grpc.max_connection_age_grace_ms': limits.answerMs + limits.sendMs,
    'grpc.enable_channelz': 0,
    interceptors: [gate(options)],
  });
  server.addService(
    rawService,
    Object.fromEntries(Object.entries(answers).map(([name, answer]) => [name, handler(answer, onDefect)])),
  );
  const connections = server.createConnectionInjector(credentials(options.tls));
  // Ours, so that their number has a bound.
  const sockets = new Set<Socket>();
  const listener = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
    connections.injectConnection(socket);
  });
  listener.maxConnections = limits.connections;
  const port = await openPort(listener, { ...options, flag: '--grpc-port' });
  return {
    port,
    drain: async () => {
      const closed = new Promise((resolve) => listener.close(resolve));
      const answered = new Promise<void>((resolve) => server.tryShutdown(() => resolve()));
      const patience = setTimeout(() => server.forceShutdown(), limits.drainMs);
      await answered;
      clearTimeout(patience);
      // Those that never came to speak gRPC.
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

function credentials(tls: ListenGrpcOptions['tls']): ServerCredentials {
  if (!tls) return ServerCredentials.createInsecure();
  try {
    return ServerCredentials.createSsl(null, [{ cert_chain: tls.cert, private_key: tls.key }]);
  } catch (error) {
    throw new Failure(
      'tls',
      'The certificate and the key do not go together, or are not PEM: give the two files of one certificate.',
      { cause: error },
    );
  }
}

/**
 * Before a request is read: whoever has no token is turned away, and only so many requests are read at a time as there
 * is room for; the others wait unread, which their senders' flow control tells them.
 */
function gate({ token, limits }: ListenGrpcOptions): ServerInterceptor {
  const turns = new Turns(Math.max(1, Math.floor(limits.bufferedBytes / limits.requestBytes)));
  return ({ path }, call) => {
    const isOpen = path.endsWith('/ServerLive') || path.endsWith('/ServerReady');
    let leave: () => void = () => undefined;
    return new ServerInterceptingCall(call, {
      start: (next) =>
        next({
          onReceiveMetadata: (metadata, pass) => {
            try {
              if (token !== undefined && !isOpen) checkToken(metadata.get('authorization')[0]?.toString(), token);
            } catch (error) {
              call.sendStatus(refusal(error));
              return;
            }
            leave = turns.take(() => {
              const late = setTimeout(() => {
                leave();
                call.sendStatus({ code: GrpcStatus.DEADLINE_EXCEEDED, details: 'The request did not arrive in time.' });
              }, limits.receiveMs);
              pass(metadata);
              return () => clearTimeout(late);
            });
          },
          onReceiveHalfClose: (pass) => {
            leave();
            pass();
          },
          onCancel: () => leave(),
        }),
    });
  };
}

/** Places that are taken in the order in which they were asked for. */
class Turns {
  private readonly waiting: (() => void)[] = [];

  constructor(private free: number) {}

  /** @param begin called when there is a place; gives what ends with it. @returns gives the place up, or the wait */
  take(begin: () => () => void): () => void {
    let end: (() => void) | undefined;
    const turn = () => {
      this.free--;
      end = begin();
    };
    if (this.free > 0) turn();
    else this.waiting.push(turn);
    let left = false;
    return () => {
      if (left) return;
      left = true;
      const place = this.waiting.indexOf(turn);
      if (place >= 0) this.waiting.splice(place, 1);
      if (!end) return;
      end();
      this.free++;
      this.waiting.shift()?.();
    };
  }
}

function handler(answer: GrpcAnswer, onDefect: (error: unknown) => void) {
  return (call: ServerUnaryCall<Buffer, Uint8Array>, reply: sendUnaryData<Uint8Array>) => {
    const left = new AbortController();
    call.on('cancelled', () => left.abort(new Error('The client has gone.')));
    void Promise.resolve()
      .then(() => answer(call.request, left.signal))
      .then(
        (bytes) => reply(null, bytes),
        (error: unknown) => {
          if (!left.signal.aborted && !isRefusal(error)) onDefect(error);
          reply(refusal(error));
        },
      );
  };
}

const isRefusal = (error: unknown): boolean => error instanceof ProtocolError || error instanceof HttpError;

/** By HTTP's status: what may be asked again is UNAVAILABLE, as clients expect of it. */
const CODES: Readonly<Record<number, GrpcStatus>> = {
  401: GrpcStatus.UNAUTHENTICATED,
  403: GrpcStatus.PERMISSION_DENIED,
  404: GrpcStatus.NOT_FOUND,
  503: GrpcStatus.UNAVAILABLE,
};

function refusal(error: unknown): Required<Pick<StatusObject, 'code' | 'details'>> & Partial<StatusObject> {
  if (error instanceof ProtocolError) return { code: GrpcStatus.INVALID_ARGUMENT, details: error.message };
  if (!(error instanceof HttpError))
    return { code: GrpcStatus.INTERNAL, details: 'The server failed at this request; its log says why.' };
  const metadata = new Metadata();
  const seconds = error.headers['retry-after'];
  if (seconds !== undefined) metadata.set('grpc-retry-pushback-ms', String(1000 * Number(seconds)));
  return { code: CODES[error.status] ?? GrpcStatus.INVALID_ARGUMENT, details: error.message, metadata };
}

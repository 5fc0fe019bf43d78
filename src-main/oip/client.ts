/** A client of a server that speaks the Open Inference Protocol v2: what fails in passing is tried again. */
import { setTimeout as pause } from 'node:timers/promises';
import { z } from 'zod';
import { Failure } from '../base/failure.ts';
import { cardFromParameters, type BackboneCard } from './card.ts';
import { Connection, TOKEN_VARIABLE, type Asked, type Exchange, type ServerAccess } from './connection.ts';
import { decodeResponse, encodeRequest, HEADER_LENGTH } from './messages.ts';
import { ProtocolError } from './protocol-error.ts';
import type { WireTensor } from './tensors.ts';

export interface RetryOptions {
  signal?: AbortSignal;
  /** How long to go on trying, seconds; 0: once. */
  tryFor?: number;
  /** Told when something is tried again, with the reason. */
  onRetry?: (reason: string) => void;
}

/** What an inference cost. */
export interface Transfer {
  /** Bytes over the wire, those of attempts that failed not among them. */
  up: number;
  down: number;
  seconds: {
    /** In the server, as far as it says. */
    server: number;
    /** The rest until the answer was there. */
    network: number;
  };
}

/** Going on with what a server that is started again has to say about it takes a while. */
const TRY_FOR = 120;
const FIRST_PAUSE_MS = 200;
const LONGEST_PAUSE_MS = 5000;
/** Statuses that pass: too many requests, and servers that are not there yet or no more. */
const PASSING = [408, 425, 429, 500, 502, 503, 504];

const errorSchema = z.object({ error: z.string() });
const configSchema = z.object({
  parameters: z.record(z.string(), z.object({ string_value: z.string() })).default({}),
});
const metadataSchema = z.object({
  inputs: z.array(z.object({ name: z.string(), datatype: z.string(), shape: z.array(z.number()) })),
  outputs: z.array(z.object({ name: z.string(), datatype: z.string() })),
});
export type ModelMetadata = z.infer<typeof metadataSchema>;

export class OipClient {
  private constructor(private readonly connection: Connection) {}

  /** Nothing is sent yet. @throws Failure `token-file`, `tls` */
  static async open(server: string, access: ServerAccess = {}): Promise<OipClient> {
    return new OipClient(await Connection.open(server, access));
  }

  get server(): string {
    return this.connection.server;
  }

  /** @throws Failure `no-model`, `token`, `server` */
  async metadata(model: string, retry?: RetryOptions): Promise<ModelMetadata> {
    const { body } = await this.ask(pathOf(model), {}, retry);
    return this.parsed(metadataSchema, body);
  }

  /**
   * What the model's config tells of the ViT; undefined where the server has no config or it tells nothing.
   * @throws Failure as `metadata`, and `server` where what it tells is damaged
   */
  async card(model: string, retry?: RetryOptions): Promise<BackboneCard | undefined> {
    const answered = await this.ask(pathOf(model, '/config'), {}, retry).catch((error: unknown) => {
      // Not every server gives configs; that there is no such model it says at its metadata too.
      if (error instanceof Failure && error.code === 'no-model') return undefined;
      throw error;
    });
    if (!answered) return undefined;
    try {
      return cardFromParameters(this.parsed(configSchema, answered.body).parameters);
    } catch (error) {
      throw this.failure('server', `its config of model ${model} is damaged or of another version`, error);
    }
  }

  /** Whether there is such a model and it is ready. */
  async isReady(model: string, retry?: RetryOptions): Promise<boolean> {
    return this.ask(pathOf(model, '/ready'), {}, retry).then(
      () => true,
      () => false,
    );
  }

  /** Names of the models that are offered, as far as the server tells. */
  async models(retry?: RetryOptions): Promise<string[]> {
    const { body } = await this.ask('/v2/repository/index', { method: 'POST', parts: [Buffer.from('{}')] }, retry);
    return this.parsed(z.array(z.object({ name: z.string() })), body).map(({ name }) => name);
  }

  /** @throws Failure `server`, `token`, `no-model`, `refused` for what the server does not take, `overflow` for what it cannot put into the outputs' datatypes; the signal's reason */
  async infer(
    model: string,
    inputs: readonly WireTensor[],
    outputs: readonly string[],
    retry?: RetryOptions,
  ): Promise<{ outputs: Map<string, WireTensor>; transfer: Transfer }> {
    const { parts, headerLength } = encodeRequest(inputs, outputs);
    const headers = {
      'content-type': 'application/octet-stream',
      ...(headerLength === undefined ? {} : { [HEADER_LENGTH]: String(headerLength) }),
    };
    let read: Map<string, WireTensor> | undefined;
    const exchange = await this.ask(pathOf(model, '/infer'), { method: 'POST', headers, parts }, retry, (answered) => {
      const stated = answered.headers[HEADER_LENGTH];
      read = decodeResponse(answered.body, stated === undefined ? undefined : Number(stated)).outputs;
      const missing = outputs.find((name) => !read!.has(name));
      if (missing !== undefined) throw new ProtocolError(`the answer lacks ${missing}`);
    });
    const { up, down, seconds } = exchange;
    const server = Math.min(seconds, serverSeconds(exchange));
    return { outputs: read!, transfer: { up, down, seconds: { server, network: seconds - server } } };
  }

  close(): void {
    this.connection.close();
  }

  /** @param check of a good answer: what it throws is a reason to ask again */
  private async ask(
    path: string,
    asked: Asked,
    { signal, tryFor = TRY_FOR, onRetry }: RetryOptions = {},
    check: (exchange: Exchange) => void = () => undefined,
  ): Promise<Exchange> {
    const until = performance.now() + tryFor * 1000;
    for (let attempt = 0; ; attempt++) {
      let reason: string;
      let wait = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** attempt) * (0.75 + Math.random() / 2);
      try {
        const patience = tryFor === 0 ? { patienceMs: 5000 } : {};
        const exchange = await this.connection.ask(path, { ...asked, ...patience, signal });
        if (exchange.status === 200) {
          check(exchange);
          return exchange;
        }
        reason = sentenceOf(exchange);
        if (!PASSING.includes(exchange.status)) throw this.refusal(exchange, reason);
        wait = Math.max(wait, 1000 * Math.min(30, Number(exchange.headers['retry-after'] ?? 0) || 0));
      } catch (error) {
        signal?.throwIfAborted();
        if (error instanceof Failure) throw error;
        if (isDistrusted(error)) throw this.distrusted(error);
        reason = error instanceof Error ? wordsOf(error) : String(error);
      }
      if (performance.now() + wait > until) throw this.failure('server', reason);
      onRetry?.(`The server at ${this.server} does not answer as it should (${reason}): trying again.`);
      await pause(wait, undefined, { signal }).catch(() => signal?.throwIfAborted());
    }
  }

  private refusal({ status }: Exchange, reason: string): Failure {
    if (status === 401 || status === 403)
      return new Failure(
        'token',
        `The server at ${this.server} wants its token: give it with --token-file FILE, or in ${TOKEN_VARIABLE}.`,
      );
    if (status === 404) return this.failure('no-model', reason);
    if (status === 422) return this.failure('overflow', reason);
    return this.failure('refused', reason);
  }

  /** Asking again does not help. */
  private distrusted(cause: Error): Failure {
    return new Failure(
      'tls',
      `The certificate of the server at ${this.server} is not trusted here (${cause.message.replace(/\.$/, '')}): give the one to check it by (--ca-file FILE, in the window under Advanced), and an address that it is for.`,
      { cause },
    );
  }

  private failure(code: string, reason: string, cause?: unknown): Failure {
    const advice =
      code === 'server' ? 'see that it runs, and start the same command again' : 'check the address and the server';
    return new Failure(code, `The server at ${this.server} cannot be used (${reason.replace(/\.$/, '')}): ${advice}.`, {
      cause,
    });
  }

  private parsed<T>(schema: z.ZodType<T>, body: Buffer): T {
    try {
      return schema.parse(JSON.parse(body.toString('utf8')));
    } catch (error) {
      throw this.failure('refused', 'it does not speak the Open Inference Protocol v2', error);
    }
  }
}

function pathOf(model: string, what = ''): string {
  return `/v2/models/${encodeURIComponent(model)}${what}`;
}

function sentenceOf({ status, body }: Exchange): string {
  try {
    return `${status}: ${errorSchema.parse(JSON.parse(body.toString('utf8'))).error}`;
  } catch {
    return `status ${status}`;
  }
}

function wordsOf(error: Error): string {
  const code = 'code' in error && typeof error.code === 'string' ? error.code : undefined;
  const known: Record<string, string> = {
    ECONNREFUSED: 'nothing listens there',
    ENOTFOUND: 'there is no such host',
    ECONNRESET: 'the connection was cut',
    EPROTO: 'it does not speak TLS: its address may begin with http://',
  };
  return (code && known[code]) || error.message || code || 'the connection failed';
}

/** What OpenSSL and Node call certificates that do not hold: see `verify_result` in Node's documentation of TLS. */
function isDistrusted(error: unknown): error is Error {
  return error instanceof Error && 'code' in error && /CERT|^UNABLE_TO|^INVALID_CA$/.test(String(error.code));
}

/** Of the server's own clock: the header Server-Timing (W3C). */
function serverSeconds({ headers }: Exchange): number {
  const stated = /\binfer;dur=([\d.]+)/.exec(String(headers['server-timing'] ?? ''))?.[1];
  return stated === undefined ? 0 : Number(stated) / 1000;
}

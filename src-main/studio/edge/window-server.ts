/** The server of backbones that the window starts and stops, and how it gets on. */
import { randomBytes } from 'node:crypto';
import { join, resolve } from 'node:path';
import { z } from 'zod';
import { Failure } from '../../base/failure.ts';
import { inTurn } from '../../base/in-turn.ts';
import { ownVersion } from '../../base/version.ts';
import type { Workspace } from '../../workspace/workspace.ts';
import { usualThreads } from '../preferences.ts';
import { serveEdge, type EdgeServer, type EdgeServeRequest } from './serve.ts';
import { LOOPBACK, ownHosts } from './own-hosts.ts';
import { dropToken, keepToken } from './server-tokens.ts';

/** What the models of one backbone have done since the server started; bytes of bodies, seconds in all. */
const servedModelSchema = z.object({
  name: z.string(),
  /** Name of its input: pixels, or encoded pictures. */
  input: z.string(),
  /** Requests: answered, refused or failed, and of these the ones for which there was no room. */
  answered: z.number(),
  failed: z.number(),
  busy: z.number(),
  images: z.number(),
  /** Images that wait or are at work; of all models of the backbone together. */
  waiting: z.number(),
  bytes: z.object({ received: z.number(), sent: z.number() }),
  /** Of requests that were answered; in the queue, and in the ViT, of all. */
  seconds: z.object({ answered: z.number(), queue: z.number(), vit: z.number() }),
});

export const shownServerSchema = z.object({
  /** Addresses that it can be reached at, the one for this machine first. */
  urls: z.array(z.string()).min(1),
  port: z.int(),
  /** Null where gRPC is not spoken. */
  grpcPort: z.int().nullable(),
  wantsToken: z.boolean(),
  /** The file that the token is from; null where it was made here, or there is none. */
  tokenFile: z.string().nullable(),
  started: z.iso.datetime(),
  backbones: z.array(z.string()),
  models: z.array(servedModelSchema),
});
export type ShownServer = z.infer<typeof shownServerSchema>;

export interface StartServing extends Pick<EdgeServeRequest, 'backbones' | 'port' | 'upto' | 'grpcPort' | 'tokenFile'> {
  /** Whether other machines may use it, for which they need a token: one is made where no file holds one. */
  network: boolean;
  /** Whether programs of this machine need one too. */
  token: boolean;
  /** Paths of PEM files. */
  tls?: { cert: string; key: string };
}

/** A server that has just started, with the token that was made for it, which is told this once. */
export interface StartedServer {
  server: ShownServer;
  token: string | null;
}

interface Running {
  server: EdgeServer;
  started: string;
  hosts: string[];
  backbones: string[];
  tokenFile: string | null;
  certificateFile: string | undefined;
}

const TELL_EVERY_MS = 1000;

export class EdgeServing {
  private readonly oneAtATime = inTurn();
  private running: Running | undefined;
  private timer: ReturnType<typeof setInterval> | undefined;
  private told = '';

  /** @param tell how the server gets on, whenever that has changed; null once it has stopped */
  constructor(
    private readonly workspace: Workspace,
    private readonly tell: (server: ShownServer | null) => void,
  ) {}

  /** @throws Failure `serving` where one runs, and those of `serveEdge` */
  start({ network, token: wanted, backbones, tls, ...options }: StartServing): Promise<StartedServer> {
    return this.oneAtATime(async () => {
      if (this.running)
        throw new Failure('serving', `A server runs at ${this.running.server.url} already: stop it first.`);
      const given = options.tokenFile === undefined ? null : resolve(options.tokenFile);
      const token = given === null && (network || wanted) ? randomBytes(24).toString('base64url') : null;
      // Under a name of its own until the port is known: tokens are kept by address.
      const made = token === null ? undefined : await keepToken(this.workspace, 'starting', token);
      try {
        const server = await serveEdge(
          this.workspace,
          {
            ...options,
            backbones,
            host: network ? '0.0.0.0' : LOOPBACK,
            tokenFile: given ?? made,
            ...(tls ? { tlsCert: tls.cert, tlsKey: tls.key } : {}),
            threads: (await usualThreads(this.workspace)) || undefined,
          },
          { version: ownVersion(), logs: join(this.workspace.root, 'logs') },
        );
        this.running = {
          server,
          started: new Date().toISOString(),
          hosts: ownHosts(network, server.certificate),
          backbones: [...backbones],
          tokenFile: given,
          certificateFile: tls && resolve(tls.cert),
        };
      } finally {
        await dropToken(this.workspace, 'starting');
      }
      const shown = this.shown()!;
      const word = this.running.server.token;
      if (word === null) await dropToken(this.workspace, shown.urls[0]!);
      else await keepToken(this.workspace, shown.urls[0]!, word);
      this.timer = setInterval(() => this.tellChanges(), TELL_EVERY_MS);
      this.timer.unref();
      this.tellChanges();
      return { server: shown, token };
    });
  }

  /** Answers what was accepted, then ends. */
  stop(): Promise<void> {
    return this.oneAtATime(async () => {
      const { running } = this;
      if (!running) return;
      clearInterval(this.timer);
      await running.server.close();
      await dropToken(this.workspace, this.shown()!.urls[0]!);
      this.running = undefined;
      this.tellChanges();
    });
  }

  shown(): ShownServer | null {
    if (!this.running) return null;
    const { server, started, hosts, backbones, tokenFile } = this.running;
    const scheme = new URL(server.url).protocol;
    const seconds = (ns: number) => ns / 1e9;
    return {
      urls: hosts.map((host) => `${scheme}//${host}:${server.port}`),
      port: server.port,
      grpcPort: server.grpcPort,
      wantsToken: server.token !== null,
      tokenFile,
      started,
      backbones,
      models: server.models.map(({ name, input, load, statistics }) => ({
        name,
        input,
        answered: statistics.success.count,
        failed: statistics.fail.count,
        busy: statistics.rejected,
        images: statistics.images,
        waiting: load,
        bytes: { received: statistics.bytesReceived, sent: statistics.bytesSent },
        seconds: {
          answered: seconds(statistics.success.ns),
          queue: seconds(statistics.queue.ns),
          vit: seconds(statistics.computeInfer.ns),
        },
      })),
    };
  }

  /** The file with the certificate of the server that runs, where it is at this address. */
  certificateOf(address: string): string | undefined {
    return this.shown()?.urls.includes(address) ? this.running!.certificateFile : undefined;
  }

  close(): Promise<void> {
    return this.stop();
  }

  private tellChanges(): void {
    const shown = this.shown();
    const text = JSON.stringify(shown);
    if (text === this.told) return;
    this.told = text;
    this.tell(shown);
  }
}

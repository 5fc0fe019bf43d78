/** Backbones offered over the Open Inference Protocol, version 2. */
import { readFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import type { Backbone } from '../../backbone/catalogue.ts';
import { Failure } from '../../base/failure.ts';
import { LateDecoder } from '../../data/decode/late-decoder.ts';
import { GatheringVit } from '../gathering-vit.ts';
import { isLoopback, readToken } from './access.ts';
import { Batcher } from './batcher.ts';
import { DEFAULT_LIMITS, type Limits } from './limits.ts';
import { listen, type Listening } from './listen.ts';
import { BodyRoom } from './read-body.ts';
import { Routes } from './routes.ts';
import { ServedModel } from './served-model.ts';
import { ServedModels } from './served-models.ts';

export interface ServeOptions {
  backbones: readonly Backbone[];
  /** Blocks that sums may go up to; `usualUpto` of each backbone when left out. */
  upto?: readonly number[];
  host: string;
  /** 0 picks one. */
  port: number;
  /** Of gRPC, which is not spoken when left out; 0 picks one. */
  grpcPort?: number;
  tokenFile?: string;
  tls?: { cert: string; key: string };
  threads?: number;
  limits?: Partial<Limits>;
  /** Of this program, for the server's metadata. */
  version: string;
  /** Told of errors that are nobody's but ours. */
  onDefect: (error: unknown) => void;
}

export interface EdgeServer {
  url: string;
  port: number;
  grpcPort: number | null;
  token: string | null;
  /** Its own, PEM; null without TLS. */
  certificate: Uint8Array | null;
  models: readonly ServedModel[];
  /** Answers what has been accepted, then ends. */
  close(): Promise<void>;
}

/** A quarter, half, three quarters and all of the blocks, and two thirds, which is where MIET usually learns best. */
export function usualUpto(blocks: number): number[] {
  const shares = [1 / 4, 1 / 2, 2 / 3, 3 / 4, 1].map((share) => Math.max(1, Math.round(share * blocks)));
  return [...new Set(shares)].sort((a, b) => a - b);
}

/** @throws Failure `usage`, `token-file`, `tls`, `port`, `backbone` */
export async function serveBackbones(options: ServeOptions): Promise<EdgeServer> {
  const { backbones, host, port, grpcPort, tokenFile, onDefect } = options;
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  const token = tokenFile === undefined ? undefined : await readToken(tokenFile);
  if (token === undefined && !isLoopback(host))
    throw new Failure(
      'usage',
      `Listening at ${host} lets other machines in, which takes a token: write one into a file and give it with --token-file.`,
    );
  const tls = options.tls && { cert: await readPem(options.tls.cert), key: await readPem(options.tls.key) };
  const decoder = new LateDecoder();
  const vits: GatheringVit[] = [];
  const listening: Listening[] = [];
  const close = async () => {
    for (const vit of vits) await vit.close();
    await decoder.close();
  };
  try {
    const models: ServedModel[] = [];
    for (const backbone of backbones) {
      const upto = [...new Set(options.upto ?? usualUpto(backbone.structure.blocks))].sort((a, b) => a - b);
      const vit = await GatheringVit.open(backbone, { upto, threads: options.threads ?? availableParallelism() });
      vits.push(vit);
      const batcher = new Batcher(vit, limits);
      const { name } = backbone;
      models.push(new ServedModel({ name, vit, batcher, limits }));
      models.push(new ServedModel({ name: `${name}-image`, vit, batcher, limits, decoder }));
    }
    checkNames(models);
    let draining = false;
    const room = new BodyRoom(limits);
    const served = new ServedModels(models, { version: options.version, isDraining: () => draining });
    const routes = new Routes({ models: served, room, token });
    const common = { host, tls, limits, onDefect };
    listening.push(await listen({ ...common, port, answer: (...asked) => routes.answer(...asked) }));
    if (grpcPort !== undefined) {
      const { listenGrpc } = await import('./listen-grpc.ts');
      const { grpcAnswers } = await import('./grpc-answers.ts');
      listening.push(await listenGrpc({ ...common, port: grpcPort, token, answers: grpcAnswers(served, room) }));
    }
    const [http, grpc] = listening;
    const shown = host.includes(':') ? `[${host}]` : host;
    return {
      url: `${tls ? 'https' : 'http'}://${shown}:${http!.port}`,
      port: http!.port,
      grpcPort: grpc?.port ?? null,
      token: token ?? null,
      certificate: tls?.cert ?? null,
      models,
      close: async () => {
        draining = true;
        await Promise.all(listening.map((each) => each.drain()));
        await close();
      },
    };
  } catch (error) {
    await Promise.all(listening.map((each) => each.drain()));
    await close();
    throw error;
  }
}

function checkNames(models: readonly ServedModel[]): void {
  const names = models.map(({ name }) => name);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined)
    throw new Failure(
      'usage',
      `Two of the backbones would be served as "${twice}": serve one of them under another name.`,
    );
}

async function readPem(file: string): Promise<Buffer> {
  return readFile(file).catch((error: unknown) => {
    throw new Failure('tls', `The certificate or key "${file}" cannot be read: check that it is there.`, {
      cause: error,
    });
  });
}

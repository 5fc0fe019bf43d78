/**
 * A server of ViT-Ti under open-loop load on loopback: requests of one image come when they come, whether or not those
 * before them are answered, at 0.5, 1 and 2 times what the server can do. Beside it the bare ViT of the extraction bench.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { Agent, request as httpRequest } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { uniformFloat64 } from 'pure-rand/distribution/uniformFloat64';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';
import { addBackbone } from '../../src-main/backbone/add-backbone.ts';
import { encodeRequest } from '../../src-main/oip/messages.ts';
import { gatheredName, PIXELS } from '../../src-main/oip/outputs.ts';
import { bytesOf } from '../../src-main/oip/tensors.ts';
import { Workspace } from '../../src-main/workspace/workspace.ts';
import { startEdge, type EdgeProcess } from '../integration/edge/edge-process.ts';
import { sharedFolder } from './limit.ts';
import { runSide, tsSide } from './measure.ts';
import type { Row } from './outcome.ts';
import { columns } from './table.ts';

export interface LoadFigures {
  /** Times what the server can do. */
  load: number;
  sent: number;
  answered: number;
  /** With 503 and when to come back. */
  rejected: number;
  /** Neither: connections that broke, other statuses. */
  failed: number;
  imagesPerSecond: number;
  /** From when the request was due. */
  latencyMs: { median: number; p95: number; p99: number; max: number };
  /** Resident memory of the server: half-way through the load, and at its end. */
  rssBytes: { begun: number; ended: number };
}

export interface EdgeFigures {
  /** Images a second: the ViT alone on ready tensors, before and after; the server with always 16 requests open. */
  bare: number;
  capacity: number;
  loads: LoadFigures[];
}

const LOADS = [0.5, 1, 2];
const OPEN = 16;
const UPTO = 12;

export async function measureEdge(
  { seconds, threads }: { seconds: number; threads: number },
  log: (line: string) => void,
): Promise<EdgeFigures> {
  const folder = await mkdtemp(join(tmpdir(), 'edge-load-'));
  let server: EdgeProcess | undefined;
  try {
    const workspace = await Workspace.open(folder);
    const file = join(sharedFolder, 'models/vit_tiny_patch16_224.onnx');
    const { name, preprocessing } = await addBackbone(workspace, file);
    const args = ['--workspace', folder, '--backbone', name, '--upto', String(UPTO), '--threads', String(threads)];
    server = await startEdge(args);
    const client = new LoadClient(server.url, name, preprocessing);
    const bareMs = [await bareMsAnImage(threads)];
    await client.saturate(3);
    const capacity = await client.saturate(Math.max(5, seconds / 4));
    log(`bare ${(1000 / bareMs[0]!).toFixed(1)} images a second, the server at its limit ${capacity.toFixed(1)}`);
    const loads: LoadFigures[] = [];
    for (const load of LOADS) {
      const figures = await client.load(load, { rate: load * capacity, seconds });
      loads.push(figures);
      log(`load ${load}: ${figures.imagesPerSecond.toFixed(1)} images a second, ${figures.rejected} turned away`);
    }
    bareMs.push(await bareMsAnImage(threads));
    client.close();
    return { bare: 2000 / (bareMs[0]! + bareMs[1]!), capacity, loads };
  } finally {
    await server?.stop();
    await rm(folder, { recursive: true });
  }
}

async function bareMsAnImage(threads: number): Promise<number> {
  const { ms, images } = await runSide('bare', tsSide('extraction.ts', ['--part', 'bare'], threads));
  return ms[0]! / images!;
}

type Outcome = 'answered' | 'rejected' | 'failed';

class LoadClient {
  private readonly agent = new Agent({ keepAlive: true });
  private readonly body: Buffer;
  private readonly headers: Record<string, string>;

  constructor(
    private readonly url: string,
    private readonly model: string,
    { width, height }: { width: number; height: number },
  ) {
    const data = bytesOf(Float32Array.from({ length: 3 * width * height }, (_, i) => Math.sin(i)));
    const input = { name: PIXELS, datatype: 'FP32', shape: [1, 3, height, width], data } as const;
    const { parts, headerLength } = encodeRequest([input], [gatheredName(UPTO, 'fp16')]);
    this.body = Buffer.concat(parts);
    this.headers = {
      'content-length': String(this.body.length),
      'inference-header-content-length': String(headerLength),
    };
  }

  /** Images a second with always as many requests open. */
  async saturate(seconds: number): Promise<number> {
    const end = performance.now() + seconds * 1000;
    let done = 0;
    const one = async () => {
      for (; performance.now() < end; done++)
        if ((await this.send()) !== 'answered') throw new Error('The server refuses what it has room for.');
    };
    await Promise.all(Array.from({ length: OPEN }, one));
    return done / seconds;
  }

  /** Requests at random times, `rate` a second on average; all are awaited. */
  async load(load: number, { rate, seconds }: { rate: number; seconds: number }): Promise<LoadFigures> {
    const random = xoroshiro128plus(11);
    const counts: Record<Outcome, number> = { answered: 0, rejected: 0, failed: 0 };
    const latencies: number[] = [];
    const under: Promise<void>[] = [];
    const begun = performance.now();
    const end = begun + seconds * 1000;
    let inTime = 0;
    const rss = pause((seconds * 1000) / 2).then(() => this.rssBytes());
    const one = async (due: number) => {
      const outcome = await this.send();
      counts[outcome]++;
      if (outcome !== 'answered') return;
      latencies.push(performance.now() - due);
      if (performance.now() <= end) inTime++;
    };
    for (let due = begun; due < end; due -= (Math.log(1 - uniformFloat64(random)) / rate) * 1000) {
      const early = due - performance.now();
      if (early > 0) await pause(early);
      under.push(one(due));
    }
    const ended = await this.rssBytes();
    await Promise.all(under);
    latencies.sort((a, b) => a - b);
    const at = (share: number) => latencies[Math.min(latencies.length - 1, Math.floor(share * latencies.length))]!;
    return {
      load,
      sent: under.length,
      ...counts,
      imagesPerSecond: inTime / seconds,
      latencyMs: { median: at(0.5), p95: at(0.95), p99: at(0.99), max: at(1) },
      rssBytes: { begun: await rss, ended },
    };
  }

  close(): void {
    this.agent.destroy();
  }

  private send(): Promise<Outcome> {
    const { agent, headers } = this;
    return new Promise((resolve) => {
      const url = `${this.url}/v2/models/${this.model}/infer`;
      const request = httpRequest(url, { method: 'POST', agent, headers }, (response) => {
        const { statusCode, headers: given } = response;
        const clean = statusCode === 503 && Number(given['retry-after']) > 0;
        response.on('end', () => resolve(statusCode === 200 ? 'answered' : clean ? 'rejected' : 'failed'));
        response.on('error', () => resolve('failed')).resume();
      });
      request.on('error', () => resolve('failed')).end(this.body);
    });
  }

  private async rssBytes(): Promise<number> {
    const text = await (await fetch(`${this.url}/metrics`)).text();
    return Number(/^process_resident_memory_bytes (\d+)/m.exec(text)![1]);
  }
}

export function edgeTable({ loads }: EdgeFigures): string {
  const mebibytes = (bytes: number) => (bytes / 2 ** 20).toFixed(0);
  return columns([
    ['load', 'sent', 'answered', 'turned away', 'failed', 'images/s', 'ms: median', 'p95', 'p99', 'most', 'MiB'],
    ...loads.map(({ load, sent, answered, rejected, failed, imagesPerSecond, latencyMs, rssBytes }) => [
      String(load),
      ...[sent, answered, rejected, failed].map(String),
      imagesPerSecond.toFixed(1),
      ...[latencyMs.median, latencyMs.p95, latencyMs.p99, latencyMs.max].map((ms) => ms.toFixed(0)),
      `${mebibytes(rssBytes.begun)} to ${mebibytes(rssBytes.ended)}`,
    ]),
  ]);
}

export function edgeRows({ bare, loads }: EdgeFigures): Row[] {
  const over = loads.at(-1)!;
  const share = over.imagesPerSecond / bare;
  const failed = loads.reduce((sum, each) => sum + each.failed, 0);
  // By then the queue is full; before, memory grows with it.
  const growth = over.rssBytes.ended / over.rssBytes.begun;
  return [
    {
      what: 'edge: images a second at twice the load that the server can do, against the bare ViT',
      asked: '0.9 or more',
      measured: `${share.toFixed(2)} (${over.imagesPerSecond.toFixed(1)} against ${bare.toFixed(1)})`,
      reached: share >= 0.9,
    },
    {
      what: 'edge: requests that are neither answered nor told when to come back',
      asked: 'none',
      measured: String(failed),
      reached: failed === 0,
    },
    {
      what: 'edge: memory of the server at the end of that load against half-way',
      asked: 'no growth (1.1 or less)',
      measured: growth.toFixed(2),
      reached: growth <= 1.1,
    },
  ];
}

/** An exported adaptor at work beside a ViT that is elsewhere. */
import { availableParallelism } from 'node:os';
import { z } from 'zod';
import { parseModel, readModelFile } from '../backbone/read-model.ts';
import type { MapRequest, MapStorage } from '../backbone/surgery.ts';
import { Failure } from '../base/failure.ts';
import type { SentTensor } from '../engine/session-messages.ts';
import { SessionThread, type ThreadSession } from '../engine/session-thread.ts';
import { BASE, FEATURES } from '../export/adaptor.ts';
import { rescaled, stacked } from '../export/run-exported.ts';
import { LOGITS } from '../export/traced-adaptor.ts';
import type { TappedBatch } from '../features/tapped-batch.ts';

const json = <T extends z.ZodType>(schema: T) =>
  z.string().transform((text, context): z.output<T> => {
    try {
      return schema.parse(JSON.parse(text));
    } catch {
      context.addIssue('no JSON of this kind');
      return z.NEVER;
    }
  });

/** `P1_3` or `S_8`. */
const mapSchema = z.string().transform((name, context): MapRequest => {
  const [, group, index] = /^(?:P(\d+)|S)_(\d+)$/.exec(name) ?? [];
  if (index !== undefined)
    return group === undefined
      ? { kind: 'S', index: Number(index) }
      : { kind: 'P', group: Number(group), index: Number(index) };
  context.addIssue('no map');
  return z.NEVER;
});

/** What an exported adaptor says of itself. */
const metadataSchema = z.object({
  labels: json(z.array(z.string()).min(1)),
  provenance: json(z.object({ backbone: z.string(), backboneSha256: z.string() })),
  settings: json(z.object({ cache: z.enum(['fp16', 'int8', 'none']).default('fp16') })),
  pool: z.enum(['cls', 'mean']),
  maps: json(z.array(mapSchema)),
  scales: json(z.array(z.number().positive())),
});

export interface AdaptorFacts {
  labels: string[];
  /** Name and hash of the ViT that it was trained beside. */
  backbone: { name: string; sha256: string };
  maps: MapRequest[];
  /** How the maps are rounded that it was trained on. */
  storage: MapStorage;
  /** Which base vector it reads. */
  base: 'cls' | 'mean' | null;
}

/** An exported adaptor as it lies in its file. */
export interface AdaptorFile {
  facts: AdaptorFacts;
  /** What the maps that it reads are divided by. */
  scales: readonly number[];
  bytes: Uint8Array;
}

/** @throws Failure `missing-file`, `no-adaptor` */
export async function readAdaptor(file: string): Promise<AdaptorFile> {
  const bytes = await readModelFile(file);
  const model = parseModel(bytes, file);
  const metadata = metadataSchema.safeParse(
    Object.fromEntries(model.metadataProps.map(({ key, value }) => [key, value])),
  );
  const inputs = (model.graph?.input ?? []).map(({ name }) => name);
  if (!metadata.success || !inputs.some((name) => name === FEATURES || name === BASE))
    throw new Failure(
      'no-adaptor',
      `"${file}" is no adaptor: give the adaptor.onnx that "sidetune export RUN --form adaptor" writes.`,
    );
  const { labels, provenance, settings, pool, maps, scales } = metadata.data;
  const facts: AdaptorFacts = {
    labels,
    backbone: { name: provenance.backbone, sha256: provenance.backboneSha256 },
    maps,
    storage: settings.cache === 'int8' ? 'int8' : 'fp16',
    base: inputs.includes(BASE) ? pool : null,
  };
  return { facts, scales, bytes };
}

/**
 * What an adaptor is fed with.
 * @param features of `count` images, the maps divided by `scales`
 */
export function feedsOf(
  adaptor: Pick<AdaptorFile, 'facts' | 'scales'>,
  { maps, baseCls, baseMean }: TappedBatch,
  scales: readonly number[],
  count: number,
  { tokens, width }: { tokens: number; width: number },
): Record<string, SentTensor> {
  const feeds: Record<string, SentTensor> = {};
  if (maps.length > 0) {
    const own = maps.map(({ map }, index) => rescaled(map, scales[index]! / adaptor.scales[index]!));
    const data = stacked(own, count, tokens * width);
    feeds[FEATURES] = { storage: 'float16', shape: [count, maps.length, tokens, width], data };
  }
  const { base } = adaptor.facts;
  if (base) feeds[BASE] = { storage: 'float32', shape: [count, width], data: base === 'cls' ? baseCls! : baseMean };
  return feeds;
}

export class Adaptor {
  private constructor(
    private readonly file: AdaptorFile,
    private readonly thread: SessionThread,
    private readonly session: ThreadSession,
  ) {}

  get facts(): AdaptorFacts {
    return this.file.facts;
  }

  /** @throws Failure `missing-file`, `no-adaptor` */
  static async open(path: string, threads = availableParallelism()): Promise<Adaptor> {
    const file = await readAdaptor(path);
    const thread = new SessionThread();
    try {
      return new Adaptor(file, thread, await thread.open(file.bytes, threads));
    } catch (error) {
      await thread.close();
      throw new Failure('no-adaptor', `onnxruntime cannot open "${path}": export it again.`, { cause: error });
    }
  }

  /**
   * @param features of `count` images, the maps divided by `scales`
   * @returns logits [count, classes]
   */
  async logits(
    features: TappedBatch,
    scales: readonly number[],
    count: number,
    shape: { tokens: number; width: number },
  ): Promise<Float32Array> {
    const feeds = feedsOf(this.file, features, scales, count, shape);
    return (await this.session.run(feeds))[LOGITS]!.data as Float32Array;
  }

  async close(): Promise<void> {
    await this.thread.close();
  }
}

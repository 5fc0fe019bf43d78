/** Features of images from a server into the cache: what has come stays, whatever ends the fetch. */
import type { TaskOptions } from '../base/progress.ts';
import type { Backbone } from '../backbone/catalogue.ts';
import type { MapRequest } from '../backbone/surgery.ts';
import { locate } from '../data/dataset.ts';
import { checkUnchanged } from '../data/image-file.ts';
import { baseColumns, mapColumns } from './feature-set.ts';
import { copyHeldRows, recordRows, type RowHolder } from './kept-rows.ts';
import { ListFiles, type FeatureOrigin, type Gap } from './list-files.ts';
import { rowBytesOf } from './row-file.ts';
import { servedScales, ServedVit, type TransferSum } from './served-vit.ts';

const NOTHING: TransferSum = { images: 0, up: 0, down: 0, seconds: { server: 0, network: 0 } };

/** Requests that are under way while what has come is written. */
const AHEAD = 3;

/**
 * Fetches what gaps lack, a list after the other; rows that the cache has elsewhere are copied.
 * @param holders by gap: who has some of it already
 * @param maps of all gaps
 * @throws Failure of `ServedVit` and of the images; the signal's reason. What has been written is gone on with next time.
 */
export async function fetchFeatures(
  origin: FeatureOrigin,
  gaps: readonly Gap[],
  holders: readonly (readonly RowHolder[])[],
  maps: readonly MapRequest[],
  { signal, onProgress, onRemark }: TaskOptions,
): Promise<TransferSum> {
  const { backbone, storage } = origin;
  let said = '';
  const onRetry = (reason: string) => {
    if (reason !== said) onRemark?.(reason);
    said = reason;
  };
  const base = gaps.some((gap) => gap.base);
  let opened: Promise<ServedVit> | undefined;
  const vit = () => (opened ??= ServedVit.open(backbone, { maps, storage, base, retry: { signal, onRetry } }));
  try {
    const bytesOf = (gap: Gap) => gap.images.length * rowBytes(origin, gap);
    const total = megabytes(gaps.reduce((sum, gap) => sum + bytesOf(gap), 0));
    let before = 0;
    for (const [index, gap] of gaps.entries()) {
      const each = rowBytes(origin, gap);
      await fetchList(origin, gap, holders[index]!, maps, vit, signal, (done) =>
        onProgress?.({ task: 'fetch features', done: megabytes(before + done * each), total, unit: 'MB' }),
      );
      before += bytesOf(gap);
    }
    const transferred = (await opened)?.transferred ?? NOTHING;
    const { images, up, down, seconds } = transferred;
    if (images > 0)
      onRemark?.(
        `Fetched the features of ${images} images: ${megabytes(up)} MB up, ${megabytes(down)} MB down; ${seconds.server.toFixed(1)} s in the server, ${seconds.network.toFixed(1)} s on the way, requests that overlap counted each.`,
      );
    return transferred;
  } finally {
    await (await opened?.catch(() => undefined))?.close();
  }
}

const megabytes = (bytes: number): number => Math.round(bytes / 1e4) / 100;

function rowBytes({ backbone, storage }: FeatureOrigin, { maps, base }: Gap): number {
  const { tokens, width, prefix } = backbone.structure;
  return (
    maps.length * rowBytesOf(mapColumns(tokens, width, storage)) +
    (base ? rowBytesOf(baseColumns(width, prefix > 0)) : 0)
  );
}

async function fetchList(
  origin: FeatureOrigin,
  gap: Gap,
  holders: readonly RowHolder[],
  maps: readonly MapRequest[],
  vit: () => Promise<ServedVit>,
  signal: AbortSignal | undefined,
  report: (done: number) => void,
): Promise<void> {
  const files = await ListFiles.open(gap, origin, maps, servedScales(origin.backbone, maps));
  try {
    await copyHeldRows(holders, files, signal);
    const remaining = files.remaining();
    let done = gap.images.length - remaining.length;
    report(done);
    let transferred = NOTHING;
    if (remaining.length > 0) {
      const served = await vit();
      for await (const { places, batch } of tapped(origin, gap, remaining, served, signal)) {
        await files.write(places, batch);
        done += places.length;
        report(done);
      }
      ({ transferred } = served);
    }
    await files.finish(provenanceOf(origin.backbone), { transferred });
    await recordRows(gap, origin);
  } catch (error) {
    await files.keep();
    throw error;
  }
}

/** The images at places `remaining` of the list, in order. */
async function* tapped(
  origin: FeatureOrigin,
  { images }: Gap,
  remaining: readonly number[],
  vit: ServedVit,
  signal: AbortSignal | undefined,
) {
  const tap = async (places: readonly number[]) => {
    const some = places.map((place) => images[place]!);
    for (const image of some) await checkUnchanged(origin, image);
    return { places, batch: await vit.tap(some.map((image) => locate(origin, image))) };
  };
  const pending: ReturnType<typeof tap>[] = [];
  let next = 0;
  for (let done = 0; done < remaining.length; done += vit.batch) {
    for (; pending.length < AHEAD && next < remaining.length; next += vit.batch) {
      const batch = tap(remaining.slice(next, next + vit.batch));
      // Seen when its turn comes; until then a failure is not unhandled.
      batch.catch(() => undefined);
      pending.push(batch);
    }
    signal?.throwIfAborted();
    yield await pending.shift()!;
  }
}

function provenanceOf({ name, sha256, source }: Backbone): Record<string, string> {
  return { format: 'sidetune-features', backbone: name, backbone_sha256: sha256, server: source };
}

/** Features of images from a server into the cache: what has come stays, whatever ends the fetch. */
import { join } from 'node:path';
import type { TaskOptions } from '../base/progress.ts';
import type { Backbone } from '../backbone/catalogue.ts';
import { mapName, type MapStorage } from '../backbone/surgery.ts';
import { locate } from '../data/dataset.ts';
import { checkUnchanged } from '../data/image-file.ts';
import { writeFileAtomic } from '../workspace/atomic.ts';
import { BASE_FILE, baseColumns, mapColumns, mapFileName } from './feature-set.ts';
import { RowFileWriter, rowBytesOf } from './row-file.ts';
import { ServedVit, type TransferSum } from './served-vit.ts';
import type { TappedBatch } from './tapped-batch.ts';
import { baseRows, finish, mapRows, type Gap } from './write-features.ts';

export interface FetchRequest {
  backbone: Backbone;
  /** Folder that the images' paths are relative to. */
  source: string;
  storage: MapStorage;
}

/** A file of a list, and how to get its rows from a batch. */
interface OpenFile {
  name: string;
  path: string;
  writer: RowFileWriter;
  rowsOf: (batch: TappedBatch) => Record<string, ArrayBufferView>;
  metadata: Record<string, string>;
}

/** Requests that are under way while what has come is written. */
const AHEAD = 3;

/**
 * Fetches what gaps lack, a list after the other.
 * @throws Failure of `ServedVit` and of the images; the signal's reason. What has been written is gone on with next time.
 */
export async function fetchFeatures(
  request: FetchRequest,
  gaps: readonly Gap[],
  { signal, onProgress, onRemark }: TaskOptions,
): Promise<TransferSum> {
  const { backbone, storage } = request;
  const named = new Map(gaps.flatMap((gap) => gap.maps).map((map) => [mapName(map), map]));
  let said = '';
  const onRetry = (reason: string) => {
    if (reason !== said) onRemark?.(reason);
    said = reason;
  };
  const vit = await ServedVit.open(backbone, {
    maps: [...named.values()],
    storage,
    base: gaps.some(({ base }) => base),
    retry: { signal, onRetry },
  });
  try {
    const bytesOf = (gap: Gap) => gap.images.length * rowBytes(request, gap);
    const total = megabytes(gaps.reduce((sum, gap) => sum + bytesOf(gap), 0));
    let before = 0;
    for (const gap of gaps) {
      const each = rowBytes(request, gap);
      await fetchList(request, gap, vit, [...named.keys()], signal, (done) =>
        onProgress?.({ task: 'fetch features', done: megabytes(before + done * each), total, unit: 'MB' }),
      );
      before += bytesOf(gap);
    }
    const { images, up, down, seconds } = vit.transferred;
    if (images > 0)
      onRemark?.(
        `Fetched the features of ${images} images: ${megabytes(up)} MB up, ${megabytes(down)} MB down; ${seconds.server.toFixed(1)} s in the server, ${seconds.network.toFixed(1)} s on the way, requests that overlap counted each.`,
      );
    return vit.transferred;
  } finally {
    await vit.close();
  }
}

const megabytes = (bytes: number): number => Math.round(bytes / 1e4) / 100;

function rowBytes({ backbone, storage }: FetchRequest, { maps, base }: Gap): number {
  const { tokens, width, prefix } = backbone.structure;
  return (
    maps.length * rowBytesOf(mapColumns(tokens, width, storage)) +
    (base ? rowBytesOf(baseColumns(width, prefix > 0)) : 0)
  );
}

async function fetchList(
  request: FetchRequest,
  gap: Gap,
  vit: ServedVit,
  names: readonly string[],
  signal: AbortSignal | undefined,
  report: (done: number) => void,
): Promise<void> {
  const { source, backbone } = request;
  const files: OpenFile[] = [];
  try {
    const begun = await openFiles(request, gap, vit, names, files);
    report(begun);
    for await (const { first, count, batch } of tapped(gap, source, vit, begun, signal)) {
      for (const { writer, rowsOf } of files) await writer.write(first, count, rowsOf(batch));
      report(first + count);
    }
    for (const { writer, path, metadata } of files) await finish(writer, path, metadata);
    const about = {
      ...provenanceOf(backbone),
      images: gap.images.length,
      source,
      preprocessing: backbone.preprocessing,
      transferred: vit.transferred,
    };
    await writeFileAtomic(join(gap.folder, 'about.json'), `${JSON.stringify(about, null, 2)}\n`);
  } catch (error) {
    for (const { writer } of files) await writer.keep();
    throw error;
  }
}

/** @returns the images that all files have already */
async function openFiles(
  { backbone, storage }: FetchRequest,
  gap: Gap,
  vit: ServedVit,
  names: readonly string[],
  files: OpenFile[],
): Promise<number> {
  const { tokens, width, prefix } = backbone.structure;
  const provenance = provenanceOf(backbone);
  const rows = gap.images.length;
  let begun = rows;
  const open = async (
    file: Omit<OpenFile, 'writer' | 'path'>,
    columns: ReturnType<typeof mapColumns>,
    format: string,
  ) => {
    const path = join(gap.folder, file.name);
    const { writer, done } = await RowFileWriter.resume(
      path,
      join(gap.folder, `${file.name}.${format}.part`),
      columns,
      rows,
    );
    files.push({ ...file, path, writer });
    begun = Math.min(begun, done);
  };
  for (const map of gap.maps) {
    const place = names.indexOf(mapName(map));
    const scale = String(vit.scales[place]!);
    const rowsOf = (batch: TappedBatch) => mapRows(batch.maps[place]!);
    const metadata = { ...provenance, map: mapName(map), scale };
    await open({ name: mapFileName(map), rowsOf, metadata }, mapColumns(tokens, width, storage), scale);
  }
  if (gap.base)
    await open({ name: BASE_FILE, rowsOf: baseRows, metadata: provenance }, baseColumns(width, prefix > 0), '1');
  return begun;
}

/** The list's images from place `begun` on, in order. */
async function* tapped(
  { images }: Gap,
  source: string,
  vit: ServedVit,
  begun: number,
  signal: AbortSignal | undefined,
) {
  const tap = async (first: number) => {
    const some = images.slice(first, first + vit.batch);
    for (const image of some) await checkUnchanged({ source }, image);
    return { first, count: some.length, batch: await vit.tap(some.map((image) => locate({ source }, image))) };
  };
  const pending: ReturnType<typeof tap>[] = [];
  let next = begun;
  for (let done = begun; done < images.length; done += vit.batch) {
    for (; pending.length < AHEAD && next < images.length; next += vit.batch) {
      const batch = tap(next);
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

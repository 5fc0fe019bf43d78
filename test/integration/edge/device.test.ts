import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { appendFileSync, existsSync } from 'node:fs';
import { mkdtemp, open, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { addBackbone } from '../../../src-main/backbone/add-backbone.ts';
import { type Backbone } from '../../../src-main/backbone/catalogue.ts';
import { writePlainVit } from '../../../src-main/backbone/plain-vit.ts';
import type { MapRequest, MapStorage } from '../../../src-main/backbone/surgery.ts';
import type { DatasetImage } from '../../../src-main/data/dataset.ts';
import { hashContent, readContent } from '../../../src-main/data/image-content.ts';
import { serveBackbones, type EdgeServer } from '../../../src-main/edge/server/serve.ts';
import { extractFeatures } from '../../../src-main/features/extract.ts';
import type { CachedSet } from '../../../src-main/features/feature-set.ts';
import { RowFileReader } from '../../../src-main/features/row-file.ts';
import { resolveServed } from '../../../src-main/studio/edge/served-backbones.ts';
import { Workspace } from '../../../src-main/workspace/workspace.ts';
import { startEdge } from './edge-process.ts';
import { startProxy, type Fault, type Proxy } from './proxy.ts';

const SIZE = 16;
const IMAGES = 60;
const map: MapRequest = { kind: 'S', index: 2 };

let folder: string;
let images: DatasetImage[];
let local: Backbone;
let here: Workspace;
let server: EdgeServer;
const defects: unknown[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'edge device '));
  images = [];
  for (let index = 0; index < IMAGES; index++) images.push(await draw(index));
  const file = join(folder, 'small.onnx');
  await writeFile(file, writePlainVit({ size: SIZE, patch: 4, width: 12, blocks: 4, heads: 3 }));
  here = await Workspace.open(join(folder, 'server'));
  local = await addBackbone(here, file);
  server = await serve();
});
afterAll(async () => {
  await server.close();
  await rm(folder, { recursive: true });
  expect(defects).toEqual([]);
});

function serve(more: { tokenFile?: string; port?: number } = {}): Promise<EdgeServer> {
  const onDefect = (error: unknown) => void defects.push(error);
  return serveBackbones({
    backbones: [local],
    upto: [2, 4],
    host: '127.0.0.1',
    port: 0,
    threads: 1,
    version: '0',
    onDefect,
    ...more,
  });
}

/** A small picture stored in fewer bytes than its pixels take, every fourth one in more. */
async function draw(index: number): Promise<DatasetImage> {
  const side = index % 4 === 3 ? 200 : 24;
  const raw = Uint8Array.from({ length: 3 * side * side }, (_, i) => 128 + 127 * Math.sin(i * (index + 1 + (i % 97))));
  const name = `${index}.png`;
  const path = join(folder, name);
  await sharp(raw, { raw: { width: side, height: side, channels: 3 } })
    .png()
    .toFile(path);
  const { size: bytes, mtimeMs } = await stat(path);
  return { path: name, label: 0, split: 'train', bytes, mtimeMs, sha256: hashContent(await readContent({ path })) };
}

const device = async () => Workspace.open(await mkdtemp(join(folder, 'device-')));

async function fetchInto(
  workspace: Workspace,
  port: number,
  more: { storage?: MapStorage; signal?: AbortSignal; onProgress?: (done: number) => void; base?: boolean } = {},
): Promise<CachedSet> {
  const backbone = await resolveServed(workspace, `http://127.0.0.1:${port}/v2/models/small`, {}, 1);
  const { storage, signal, onProgress, base } = more;
  const request = { backbone, source: folder, lists: [images], maps: [map], storage, base };
  const { sets } = await extractFeatures(workspace, request, { signal, onProgress: ({ done }) => onProgress?.(done) });
  return sets[0]!;
}

/** All rows of a file, checked. */
async function rowsOf(path: string): Promise<Record<string, Uint8Array[]>> {
  const file = await RowFileReader.open(path);
  const rows: Record<string, Uint8Array[]> = {};
  for (const column of file.columns) {
    rows[column] = [];
    for (let row = 0; row < file.rows; row++) {
      const bytes = new Uint8Array(file.rowBytes(column));
      await file.read(column, row, bytes);
      rows[column].push(bytes);
    }
  }
  await file.close();
  return rows;
}

async function expectAsExtracted(set: CachedSet, storage: MapStorage = 'fp16'): Promise<void> {
  const { sets } = await extractFeatures(here, {
    backbone: local,
    source: folder,
    lists: [images],
    maps: [map],
    storage,
    threads: 1,
  });
  expect(set.maps.S_2!.scale).toBe(sets[0]!.maps.S_2!.scale);
  expect(await rowsOf(set.maps.S_2!.path)).toEqual(await rowsOf(sets[0]!.maps.S_2!.path));
}

const sentImages = () => server.models.reduce((sum, { statistics }) => sum + statistics.images, 0);

describe('features from a server', () => {
  it.each(['fp16', 'int8'] as const)(
    'are those that are extracted here, to the bit (%s), and are fetched once',
    async (storage) => {
      const workspace = await device();
      const before = sentImages();
      const set = await fetchInto(workspace, server.port, { storage, base: true });
      expect(sentImages() - before).toBe(IMAGES);
      await expectAsExtracted(set, storage);
      expect(existsSync(set.base)).toBe(true);
      await fetchInto(workspace, server.port, { storage });
      expect(sentImages() - before).toBe(IMAGES);
      expect(await readdir(dirname(set.base))).toEqual([
        'P1_2.safetensors',
        'about.json',
        'base.safetensors',
        'rows.json',
      ]);
      // The entry has no model, and the base is fetched only where it is wanted.
      expect(existsSync(join(workspace.backbones, 'small', 'model.onnx'))).toBe(false);
      expect(existsSync((await fetchInto(await device(), server.port, { storage, base: false })).base)).toBe(false);
    },
  );

  it('are gone on with where a fetch was cut off, but for rows that were damaged since', async () => {
    const workspace = await device();
    const stop = new AbortController();
    const begun = fetchInto(workspace, server.port, {
      signal: stop.signal,
      base: false,
      onProgress: (done) => done > 0.02 && stop.abort(new Error('stopped')),
    });
    await expect(begun).rejects.toThrow('stopped');
    const [key] = await readdir(workspace.features);
    const part = (await readdir(join(workspace.features, key!))).find((name) => name.endsWith('.part'))!;
    const path = join(workspace.features, key!, part);
    const file = await open(path, 'r+');
    const table = new Uint32Array(IMAGES * 3);
    await file.read(new Uint8Array(table.buffer), 0, table.byteLength, 8192);
    const begunRows = table.filter((crc) => crc !== 0).length / 3;
    expect(begunRows).toBeGreaterThan(3);
    expect(begunRows).toBeLessThan(IMAGES);
    // Within the third picture's sums.
    await file.write(new Uint8Array(40).fill(255), 0, 40, 8192 + IMAGES * 12 + 2 * 17 * 4 + 3);
    await file.close();
    const before = sentImages();
    await expectAsExtracted(await fetchInto(workspace, server.port, { base: false }));
    expect(sentImages() - before).toBe(IMAGES - begunRows + 1);
  });

  it('are all the same when the server is gone, and a server that has another ViT is noticed', async () => {
    const workspace = await device();
    const other = await serve();
    const set = await fetchInto(workspace, other.port, { base: false });
    await other.close();
    expect(await fetchInto(workspace, other.port, { base: false })).toEqual(set);
    await expect(fetchInto(await device(), other.port)).rejects.toMatchObject({ code: 'server' });
    const file = join(folder, 'other.onnx');
    await writeFile(file, writePlainVit({ size: SIZE, patch: 4, width: 12, blocks: 4, heads: 3, seed: 9 }));
    const elsewhere = await Workspace.open(join(folder, 'elsewhere'));
    const backbones = [await addBackbone(elsewhere, file, { name: 'small' })];
    const changed = await serveBackbones({
      backbones,
      upto: [2],
      host: '127.0.0.1',
      port: other.port,
      version: '0',
      onDefect: (error) => void defects.push(error),
    });
    await expect(fetchInto(workspace, other.port)).rejects.toMatchObject({ code: 'backbone-changed' });
    await changed.close();
  });

  it('take the token from a file', async () => {
    const tokenFile = join(folder, 'token');
    await writeFile(tokenFile, randomUUID());
    const closed = await serve({ tokenFile });
    const url = `http://127.0.0.1:${closed.port}/v2/models/small`;
    await expect(resolveServed(await device(), url)).rejects.toMatchObject({ code: 'token' });
    expect((await resolveServed(await device(), url, { tokenFile })).served).toMatchObject({
      tokenFile,
      scales: { 2: 1, 4: 1 },
    });
    await closed.close();
  });
});

describe('a bad wire', () => {
  /** What becomes of bytes of an answer: they begin `at` in it, and it has `whole`. */
  type AnswerFault = (bytes: Buffer, at: number, whole: number) => ReturnType<Fault>;
  /** A connection's fault that befalls answers with tensors and leaves config and metadata alone. */
  const onTensors = (strike: AnswerFault): Fault => {
    let [at, whole, tensors] = [0, 0, false];
    return (bytes) => {
      if (at === whole) {
        const text = bytes.toString('latin1');
        whole = text.indexOf('\r\n\r\n') + 4 + Number(/^content-length: (\d+)/im.exec(text)?.[1]);
        tensors = /octet-stream/i.test(text);
        at = 0;
      }
      at += bytes.length;
      return tensors ? strike(bytes, at - bytes.length, whole) : undefined;
    };
  };
  const cutAt =
    (place: (whole: number) => number): AnswerFault =>
    (bytes, at, whole) => {
      const left = place(whole) - at;
      return left < bytes.length ? { last: bytes.subarray(0, Math.max(0, left)) } : undefined;
    };
  const faults: [string, AnswerFault][] = [
    ['cut without an answer', cutAt(() => 0)],
    ['cut in the head', cutAt(() => 20)],
    ['cut in the middle of a tensor', cutAt((whole) => whole - 1500)],
    ['cut before the last byte', cutAt((whole) => whole - 1)],
    [
      'damaged in a tensor',
      (bytes, at, whole) => {
        if (at + bytes.length < whole) return undefined;
        const damaged = Buffer.from(bytes);
        damaged[damaged.length - 9]! ^= 4;
        return damaged;
      },
    ],
  ];

  it.each(faults)('changes nothing: %s', async (_, strike) => {
    const proxy = await startProxy(server.port);
    try {
      let strikes = 0;
      proxy.faultOf = () =>
        onTensors((...answer) => {
          const passed = strikes < 3 ? strike(...answer) : undefined;
          if (passed) strikes++;
          return passed;
        });
      const set = await fetchInto(await device(), proxy.port, { base: false });
      expect(strikes).toBe(3);
      await expectAsExtracted(set);
    } finally {
      await proxy.close();
    }
  });

  it('changes nothing where the server is killed in the middle and started again', async () => {
    const args = ['--workspace', here.root, '--backbone', 'small', '--upto', '2', '--threads', '1'];
    let process = await startEdge(args);
    const proxy: Proxy = await startProxy(process.port);
    try {
      const workspace = await device();
      let killed: Promise<unknown> | undefined;
      const set = await fetchInto(workspace, proxy.port, {
        base: false,
        onProgress: (done) => {
          if (done === 0) return;
          killed ??= process.stop('SIGKILL').then(async () => {
            process = await startEdge(args);
            proxy.target = process.port;
          });
        },
      });
      expect(killed).toBeDefined();
      await killed;
      await expectAsExtracted(set);
    } finally {
      await process.stop();
      await proxy.close();
    }
  });
});

describe('a bad device', () => {
  it('changes nothing where its clock jumps, there and back', async () => {
    const now = Date.now();
    const workspace = await device();
    vi.useFakeTimers({ toFake: ['Date'] });
    try {
      let jumps = 0;
      // A year ahead, and ten back, while requests are under way.
      const onProgress = () => vi.setSystemTime(now + [365, -3650][jumps++ % 2]! * 86_400_000);
      const set = await fetchInto(workspace, server.port, { base: false, onProgress });
      expect(jumps).toBeGreaterThan(5);
      await expectAsExtracted(set);
    } finally {
      vi.useRealTimers();
    }
  });

  it('keeps what it has when its disk is full, and goes on with that', async ({ skip }) => {
    const disk = await mkdtemp(join(folder, 'disk-'));
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', disk], { stdio: 'ignore' });
    } catch {
      console.warn('SKIPPED: the test of a full disk wants to mount a small one, which needs root.');
      return skip();
    }
    try {
      const workspace = await Workspace.open(join(disk, 'workspace'));
      const ballast = join(disk, 'ballast');
      const fill = () => {
        try {
          for (;;) appendFileSync(ballast, new Uint8Array(4096));
        } catch {
          // That is full.
        }
      };
      const begun = fetchInto(workspace, server.port, { base: false, onProgress: (done) => done > 0 && fill() });
      await expect(begun).rejects.toMatchObject({ code: 'disk-full' });
      await rm(ballast);
      const before = sentImages();
      await expectAsExtracted(await fetchInto(workspace, server.port, { base: false }));
      expect(sentImages() - before).toBeLessThan(IMAGES);
    } finally {
      execFileSync('umount', ['--lazy', disk]);
    }
  });
});

/** A small ViT behind a server in this process, and what it is asked. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { addBackbone } from '../../../src-main/backbone/add-backbone.ts';
import type { Backbone } from '../../../src-main/backbone/catalogue.ts';
import { writePlainVit } from '../../../src-main/backbone/plain-vit.ts';
import type { Limits } from '../../../src-main/edge/server/limits.ts';
import { serveBackbones, type EdgeServer, type ServeOptions } from '../../../src-main/edge/server/serve.ts';
import { decodeResponse, encodeRequest } from '../../../src-main/oip/messages.ts';
import type { WireTensor } from '../../../src-main/oip/tensors.ts';
import { Workspace } from '../../../src-main/workspace/workspace.ts';

/** Sides of its pictures in pixels. */
export const SIZE = 16;

/** Four blocks, 17 tokens of width 12; in the workspace of that name in the folder, as `small`. */
export async function addSmallVit(folder: string): Promise<Backbone> {
  const file = join(folder, 'small.onnx');
  await writeFile(file, writePlainVit({ size: SIZE, patch: 4, width: 12, blocks: 4, heads: 3 }));
  return addBackbone(await Workspace.open(join(folder, 'workspace')), file);
}

/** What servers of this file have been told of as their own errors. */
export const defects: unknown[] = [];

export function serve(
  backbone: Backbone,
  limits: Partial<Limits> = {},
  more: Partial<ServeOptions> = {},
): Promise<EdgeServer> {
  const onDefect = (error: unknown) => void defects.push(error);
  const usual = { upto: [2, 4], host: '127.0.0.1', port: 0, threads: 1, version: '0' };
  return serveBackbones({ ...usual, backbones: [backbone], onDefect, limits, ...more });
}

export async function withServer(
  backbone: Backbone,
  limits: Partial<Limits>,
  use: (server: EdgeServer) => Promise<void>,
): Promise<void> {
  const server = await serve(backbone, limits);
  try {
    await use(server);
  } finally {
    await server.close();
  }
  expect(defects).toEqual([]);
}

export const noise = (count: number, seed = 1) =>
  Float32Array.from({ length: count * 3 * SIZE * SIZE }, (_, i) => Math.sin(i * (seed + i)));

export function pixels(data: Float32Array): WireTensor {
  const bytes = new Uint8Array(data.buffer);
  return {
    name: 'pixel_values',
    datatype: 'FP32',
    shape: [data.length / (3 * SIZE * SIZE), 3, SIZE, SIZE],
    data: bytes,
  };
}

export async function infer(
  url: string,
  input: WireTensor,
  outputs: string[],
  headers: Record<string, string> = {},
  signal?: AbortSignal,
) {
  const { parts, headerLength } = encodeRequest([input], outputs);
  const model = input.datatype === 'BYTES' ? 'small-image' : 'small';
  const response = await fetch(`${url}/v2/models/${model}/infer`, {
    method: 'POST',
    headers: { 'inference-header-content-length': String(headerLength), 'accept-encoding': 'identity', ...headers },
    body: Buffer.concat(parts),
    ...(signal ? { signal } : {}),
  });
  const body = Buffer.from(await response.arrayBuffer());
  return {
    response,
    body,
    read: () => decodeResponse(body, Number(response.headers.get('inference-header-content-length'))).outputs,
  };
}

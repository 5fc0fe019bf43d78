import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect as connectHttp2 } from 'node:http2';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import {
  create,
  fromBinary,
  toBinary,
  type DescMessage,
  type MessageInitShape,
  type MessageShape,
} from '@bufbuild/protobuf';
import { Client, credentials, Metadata, status as GrpcStatus, type ServiceError } from '@grpc/grpc-js';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { addBackbone } from '../../../src-main/backbone/add-backbone.ts';
import { type Backbone } from '../../../src-main/backbone/catalogue.ts';
import { writePlainVit } from '../../../src-main/backbone/plain-vit.ts';
import { exportTriton } from '../../../src-main/edge/export-triton.ts';
import type { Limits } from '../../../src-main/edge/server/limits.ts';
import { serveBackbones, type EdgeServer } from '../../../src-main/edge/server/serve.ts';
import { decodeResponse, encodeRequest } from '../../../src-main/oip/messages.ts';
import { GRPCInferenceService } from '../../../src-main/oip/grpc/grpc_predict_v2_pb.ts';
import { Workspace } from '../../../src-main/workspace/workspace.ts';
import { writeCertificate } from './certificate.ts';

const SIZE = 16;
const { method } = GRPCInferenceService;
type Method = (typeof method)[keyof typeof method];
let folder: string;
let backbone: Backbone;
const defects: unknown[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'edge grpc '));
  const file = join(folder, 'small.onnx');
  await writeFile(file, writePlainVit({ size: SIZE, patch: 4, width: 12, blocks: 4, heads: 3 }));
  backbone = await addBackbone(await Workspace.open(join(folder, 'workspace')), file);
});
afterAll(async () => {
  await rm(folder, { recursive: true });
  expect(defects).toEqual([]);
});

function serve(limits: Partial<Limits> = {}, more: { tokenFile?: string; tls?: { cert: string; key: string } } = {}) {
  return serveBackbones({
    backbones: [backbone],
    upto: [2, 4],
    host: '127.0.0.1',
    port: 0,
    grpcPort: 0,
    threads: 1,
    version: '0',
    onDefect: (error) => void defects.push(error),
    limits,
    ...more,
  });
}

/** A client that knows the protocol and nothing of the server. */
class Caller {
  private readonly client: Client;

  constructor(
    { grpcPort }: EdgeServer,
    private readonly options: { token?: string; ca?: Buffer } = {},
  ) {
    const { ca } = options;
    const channel = ca ? credentials.createSsl(ca) : credentials.createInsecure();
    this.client = new Client(`127.0.0.1:${grpcPort}`, channel, {
      'grpc.max_receive_message_length': -1,
      'grpc.enable_retries': 0,
    });
  }

  async call<M extends Method>(
    { name, input, output }: M,
    request: MessageInitShape<M['input']>,
  ): Promise<MessageShape<M['output']>> {
    const schema: DescMessage = input;
    const bytes = toBinary(schema, create(schema, request as Record<string, unknown>));
    return fromBinary<DescMessage>(output, await this.raw(name, bytes)) as MessageShape<M['output']>;
  }

  raw(name: string, bytes: Uint8Array): Promise<Uint8Array> {
    const metadata = new Metadata();
    if (this.options.token !== undefined) metadata.set('authorization', `Bearer ${this.options.token}`);
    return new Promise((resolve, reject) => {
      this.client.makeUnaryRequest(
        `/inference.GRPCInferenceService/${name}`,
        (each: Uint8Array) => Buffer.from(each),
        (each: Buffer) => each,
        bytes,
        metadata,
        { deadline: Date.now() + 20_000 },
        (error, answer) => {
          if (error) reject(error);
          else resolve(answer!);
        },
      );
    });
  }

  /** The status of a call that fails. */
  async refused<M extends Method>(which: M, request: MessageInitShape<M['input']>): Promise<ServiceError> {
    return this.call(which, request).then(
      () => expect.fail('it was answered'),
      (error: unknown) => error as ServiceError,
    );
  }

  close(): void {
    this.client.close();
  }
}

async function withServer(
  limits: Partial<Limits>,
  use: (caller: Caller, server: EdgeServer) => Promise<void>,
): Promise<void> {
  const server = await serve(limits);
  const caller = new Caller(server);
  try {
    await use(caller, server);
  } finally {
    caller.close();
    await server.close();
  }
}

const noise = (count: number, seed = 1) =>
  Float32Array.from({ length: count * 3 * SIZE * SIZE }, (_, i) => Math.sin(i * (seed + i)));
const bytesOf = (data: Float32Array) => new Uint8Array(data.buffer as ArrayBuffer);

/** A request with its pixels raw. */
function inference(data: Float32Array, outputs: readonly string[]) {
  const shape = [BigInt(data.length / (3 * SIZE * SIZE)), 3n, BigInt(SIZE), BigInt(SIZE)];
  return {
    modelName: 'small',
    inputs: [{ name: 'pixel_values', datatype: 'FP32', shape }],
    outputs: outputs.map((name) => ({ name })),
    rawInputContents: [bytesOf(data)],
  };
}

describe('the protocol over gRPC', () => {
  it('says the same of server and models as over HTTP, in names and numbers of the protocol', () =>
    withServer({}, async (caller, { url }) => {
      expect((await caller.call(method.serverLive, {})).live).toBe(true);
      expect((await caller.call(method.serverReady, {})).ready).toBe(true);
      expect((await caller.call(method.modelReady, { name: 'small', version: '1' })).ready).toBe(true);
      expect(await caller.call(method.serverMetadata, {})).toMatchObject({ name: 'sidetune', version: '0' });
      const { models } = await caller.call(method.repositoryIndex, {});
      expect(models.map(({ name, state }) => [name, state])).toEqual([
        ['small', 'READY'],
        ['small-image', 'READY'],
      ]);
      const metadata = await caller.call(method.modelMetadata, { name: 'small' });
      expect(metadata.inputs).toMatchObject([
        { name: 'pixel_values', datatype: 'FP32', shape: [-1n, 3n, BigInt(SIZE), BigInt(SIZE)] },
      ]);
      const { config } = await caller.call(method.modelConfig, { name: 'small' });
      const overHttp = (await (await fetch(`${url}/v2/models/small/config`)).json()) as {
        parameters: Record<string, { string_value: string }>;
      };
      const parameters = Object.entries(config!.parameters).map(([key, { stringValue }]) => [key, stringValue]);
      expect(Object.fromEntries(parameters)).toEqual(
        Object.fromEntries(Object.entries(overHttp.parameters).map(([key, value]) => [key, value.string_value])),
      );
    }));

  it('gives the very bytes that HTTP gives, raw or from typed contents', () =>
    withServer({}, async (caller, { url }) => {
      const names = ['gathered_2_fp16', 'gathered_4_int8', 'gathered_4_scale', 'cls'];
      const data = noise(3);
      const input = { name: 'pixel_values', datatype: 'FP32', shape: [3, 3, SIZE, SIZE], data: bytesOf(data) } as const;
      const { parts, headerLength } = encodeRequest([input], names);
      const answer = await fetch(`${url}/v2/models/small/infer`, {
        method: 'POST',
        headers: { 'inference-header-content-length': String(headerLength), 'accept-encoding': 'identity' },
        body: Buffer.concat(parts),
      });
      const stated = Number(answer.headers.get('inference-header-content-length'));
      const overHttp = decodeResponse(new Uint8Array(await answer.arrayBuffer()), stated).outputs;
      const raw = inference(data, names);
      const typed = {
        ...raw,
        id: 'seven',
        inputs: [{ ...raw.inputs[0]!, contents: { fp32Contents: Array.from(data) } }],
        rawInputContents: [],
      };
      for (const request of [raw, typed]) {
        const got = await caller.call(method.modelInfer, request);
        expect(got.id).toBe('id' in request ? request.id : '');
        expect(got.outputs.map(({ name, datatype, shape }) => [name, datatype, shape.map(Number)])).toEqual(
          [...overHttp.values()].map(({ name, datatype, shape }) => [name, datatype, shape]),
        );
        got.rawOutputContents.forEach((bytes, index) =>
          expect(Buffer.from(bytes).equals(overHttp.get(names[index]!)!.data)).toBe(true),
        );
      }
      const picture = await sharp({ create: { width: 40, height: 30, channels: 3, background: '#336699' } })
        .png()
        .toBuffer();
      const image = {
        modelName: 'small-image',
        inputs: [{ name: 'image', datatype: 'BYTES', shape: [1n], contents: { bytesContents: [picture] } }],
        outputs: [{ name: 'mean' }],
      };
      expect((await caller.call(method.modelInfer, image)).rawOutputContents[0]).toHaveLength(4 * 12);
      const { modelStats } = await caller.call(method.modelStatistics, { name: 'small' });
      expect(modelStats.map(({ name, inferenceCount }) => [name, inferenceCount])).toEqual([['small', 9n]]);
    }));

  it('refuses with the status that clients expect, and answers on', () =>
    withServer({ queue: 4, batch: 8, delayMs: 800, requestBytes: 40_000 }, async (caller) => {
      const good = inference(noise(2), ['cls']);
      const refusals: [number, Parameters<typeof caller.call<typeof method.modelInfer>>[1]][] = [
        [GrpcStatus.NOT_FOUND, { ...good, modelName: 'large' }],
        [GrpcStatus.NOT_FOUND, { ...good, modelVersion: '2' }],
        [GrpcStatus.INVALID_ARGUMENT, inference(noise(5), ['cls'])],
        [GrpcStatus.INVALID_ARGUMENT, { ...good, outputs: [{ name: 'logits' }] }],
        [GrpcStatus.INVALID_ARGUMENT, { ...good, rawInputContents: [...good.rawInputContents, new Uint8Array(3)] }],
        [GrpcStatus.INVALID_ARGUMENT, { ...good, inputs: [{ ...good.inputs[0]!, shape: [-1n, 3n, 16n, 2n ** 62n] }] }],
        [GrpcStatus.INVALID_ARGUMENT, { ...good, inputs: [{ ...good.inputs[0]!, datatype: 'FP16' }] }],
        [GrpcStatus.INVALID_ARGUMENT, { ...good, inputs: [{ ...good.inputs[0]!, contents: { fp32Contents: [1] } }] }],
        [GrpcStatus.RESOURCE_EXHAUSTED, inference(noise(14), ['cls'])],
      ];
      for (const [code, request] of refusals)
        expect(await caller.refused(method.modelInfer, request), JSON.stringify(code)).toMatchObject({ code });
      expect(await caller.refused(method.modelMetadata, { name: 'large' })).toMatchObject({
        code: GrpcStatus.NOT_FOUND,
        details: expect.stringContaining('there are small, small-image') as string,
      });
      const answers = await Promise.allSettled(Array.from({ length: 12 }, () => caller.call(method.modelInfer, good)));
      const turnedAway = answers.flatMap((each) => (each.status === 'rejected' ? [each.reason as ServiceError] : []));
      expect(turnedAway.length).toBeGreaterThan(0);
      expect(turnedAway.length).toBeLessThan(12);
      for (const { code, metadata } of turnedAway) {
        expect(code).toBe(GrpcStatus.UNAVAILABLE);
        expect(Number(metadata.get('grpc-retry-pushback-ms')[0])).toBeGreaterThan(0);
      }
    }));

  it('survives what is malformed, and lets go of who sends nothing', () =>
    withServer({ receiveMs: 300 }, async (caller, { grpcPort }) => {
      const random = xoroshiro128plus(5);
      const below = (n: number) => Math.abs(random.next()) % n;
      const good = toBinary(method.modelInfer.input, create(method.modelInfer.input, inference(noise(1), ['cls'])));
      const codes = new Set<GrpcStatus>();
      const mangled = () => {
        const bytes = Uint8Array.from(good.subarray(0, below(4) === 0 ? below(good.length) : good.length));
        for (let flips = below(20); flips > 0; flips--)
          bytes[below(Math.min(bytes.length, 120)) % bytes.length] = below(256);
        return bytes;
      };
      for (let round = 0; round < 20; round++)
        await Promise.all(
          Array.from({ length: 25 }, () => {
            const name = GRPCInferenceService.methods[below(GRPCInferenceService.methods.length)]!.name;
            return caller.raw(below(3) === 0 ? name : 'ModelInfer', mangled()).catch((error: unknown) => {
              codes.add((error as ServiceError).code);
            });
          }),
        );
      expect(
        [...codes].filter((code) => code !== GrpcStatus.INVALID_ARGUMENT && code !== GrpcStatus.NOT_FOUND),
      ).toEqual([]);
      // Of millions of outputs without a name none becomes an object.
      const many = new Uint8Array(2 ** 23);
      for (let at = 0; at < many.length; at += 2) many[at] = 6 * 8 + 2;
      await expect(caller.raw('ModelInfer', many)).rejects.toMatchObject({
        code: GrpcStatus.INVALID_ARGUMENT,
        details: expect.stringContaining('send tensors raw') as string,
      });
      for (const rubbish of [
        'GET / HTTP/1.1\r\n\r\n',
        '\0'.repeat(100),
        'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff\xff\xff',
      ])
        await new Promise((resolve) => {
          const socket = connect(grpcPort!, '127.0.0.1', () => socket.write(rubbish, 'latin1'));
          socket.on('error', () => undefined).on('close', resolve);
          socket.setTimeout(500, () => socket.destroy());
        });
      // One that promises a message and sends its first bytes alone.
      const session = connectHttp2(`http://127.0.0.1:${grpcPort}`);
      const slow = session.request({
        ':method': 'POST',
        ':path': '/inference.GRPCInferenceService/ModelInfer',
        'content-type': 'application/grpc',
      });
      slow.write(Uint8Array.of(0, 0, 0, 9, 9, 7));
      const [head] = (await once(slow, 'response')) as [Record<string, string>];
      expect(head['grpc-status']).toBe(String(GrpcStatus.DEADLINE_EXCEEDED));
      session.destroy();
      expect((await caller.call(method.modelInfer, inference(noise(1), ['cls']))).outputs).toHaveLength(1);
    }));

  it('is closed to whoever has not the token, but for whether the server runs; over TLS', async () => {
    const tokenFile = join(folder, 'token');
    const token = randomUUID();
    await writeFile(tokenFile, token);
    const { ca, ...tls } = await writeCertificate(folder);
    const server = await serve({}, { tokenFile, tls });
    const [stranger, friend] = [new Caller(server, { ca, token: `${token}x` }), new Caller(server, { ca, token })];
    try {
      expect((await stranger.call(method.serverLive, {})).live).toBe(true);
      expect((await stranger.call(method.serverReady, {})).ready).toBe(true);
      const asked = inference(noise(4), ['cls']);
      for (const refused of [
        stranger.refused(method.serverMetadata, {}),
        stranger.refused(method.modelInfer, asked),
        stranger.refused(method.repositoryIndex, {}),
      ])
        expect(await refused).toMatchObject({ code: GrpcStatus.UNAUTHENTICATED });
      expect((await friend.call(method.modelInfer, asked)).rawOutputContents[0]).toHaveLength(4 * 4 * 12);
    } finally {
      stranger.close();
      friend.close();
      await server.close();
    }
  });

  it('that is asked to end answers what it has accepted', async () => {
    const server = await serve({ batch: 1000, delayMs: 500 });
    const caller = new Caller(server);
    const begun = Array.from({ length: 5 }, (_, seed) =>
      caller.call(method.modelInfer, inference(noise(3, seed), ['cls'])),
    );
    const [model] = server.models;
    while (model!.load < 15) await new Promise((resolve) => setTimeout(resolve, 5));
    await server.close();
    for (const { rawOutputContents } of await Promise.all(begun)) expect(rawOutputContents[0]).toHaveLength(3 * 4 * 12);
    expect((await caller.refused(method.serverLive, {})).code).toBe(GrpcStatus.UNAVAILABLE);
    caller.close();
  });
});

/** NVIDIA's client, where there is a Python that has it: `pip install tritonclient[http,grpc]`. */
const python = process.env.SIDETUNE_TRITON_PYTHON;
if (python === undefined || !existsSync(python))
  console.warn('Skipped: tritonclient. Name a Python that has tritonclient[http,grpc] in SIDETUNE_TRITON_PYTHON.');

it.runIf(python !== undefined && existsSync(python))(
  "NVIDIA's own client speaks with it, and its schema takes the configuration",
  async () => {
    const server = await serve();
    try {
      const repository = join(folder, 'repository');
      await exportTriton(backbone, { out: repository, upto: [2], threads: 1 });
      const script = join(import.meta.dirname, 'triton_client.py');
      const args = [script, String(server.port), String(server.grpcPort), join(repository, 'small', 'config.pbtxt')];
      const { stdout } = await promisify(execFile)(python!, args);
      expect(stdout.trim()).toBe('all as it has to be');
    } finally {
      await server.close();
    }
  },
);

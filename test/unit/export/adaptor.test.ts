import type * as ort from 'onnxruntime-node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CompiledEngine } from '../../../src-main/engine/compiled.ts';
import { createSession, toOrt } from '../../../src-main/engine/session.ts';
import { floatsToHalves } from '../../../src-main/engine/half.ts';
import { encodeModel } from '../../../src-main/engine/onnx/model.ts';
import type { ModelProto } from '../../../src-main/engine/onnx/onnx_pb.ts';
import type { Buffers } from '../../../src-main/engine/program.ts';
import { adaptorModel } from '../../../src-main/export/adaptor.ts';
import type { Network } from '../../../src-main/methods/network.ts';
import { ParameterLayout } from '../../../src-main/training/parameters.ts';
import { logitsProgram } from '../../../src-main/training/programs.ts';
import { declaredShape } from '../../../src-main/backbone/graph.ts';
import { randomFloats } from '../engine/random-floats.ts';
import { CLASSES, largestDifference, networkCases, randomParameters, someScales } from './networks.ts';

const layout = { tokens: 10, width: 16, prefix: 1 };
const blocks = 4;
const norm = { scale: randomFloats(16, 90, true), shift: randomFloats(16, 91), epsilon: 1e-6 };
const engine = new CompiledEngine({ threads: 1 });
const mapSize = layout.tokens * layout.width;

/** Stored maps, [batch, tokens, width] each, and base vectors. */
function randomFeatures(network: Network, batch: number): { maps: Uint16Array[]; base: Float32Array } {
  return {
    maps: network.maps.map((_, index) => floatsToHalves(randomFloats(batch * mapSize, 30 + index))),
    base: randomFloats(batch * layout.width, 29),
  };
}

/** `features` [batch, maps, tokens, width] from the maps. */
function stacked(maps: readonly Uint16Array[], batch: number): Uint16Array {
  const features = new Uint16Array(maps.length * batch * mapSize);
  maps.forEach((map, index) => {
    for (let image = 0; image < batch; image++)
      features.set(map.subarray(image * mapSize, (image + 1) * mapSize), (image * maps.length + index) * mapSize);
  });
  return features;
}

async function inApp(network: Network, parameters: Float32Array, scales: number[], batch: number) {
  const program = logitsProgram(network, new ParameterLayout(network.parameters), {
    batch,
    layout,
    scales,
    rowSums: false,
    dropPath: false,
  });
  const { maps, base } = randomFeatures(network, batch);
  const feeds: Buffers = { parameters, ...Object.fromEntries(maps.map((map, index) => [`map_${index}`, map])) };
  if (network.usesBase) feeds.base = base;
  const executable = await engine.compile(program);
  const { logits } = await executable.run(feeds);
  await executable.dispose();
  return logits as Float32Array;
}

async function exported(session: ort.InferenceSession, network: Network, batch: number): Promise<ort.Tensor> {
  const { maps, base } = randomFeatures(network, batch);
  const feeds: Record<string, ort.Tensor> = {};
  if (maps.length > 0) {
    const shape = [batch, maps.length, layout.tokens, layout.width];
    feeds.features = toOrt({ shape, storage: 'float16' }, stacked(maps, batch));
  }
  if (network.usesBase) feeds.base = toOrt({ shape: [batch, layout.width], storage: 'float32' }, base);
  return (await session.run(feeds)).logits!;
}

const inputsOf = (model: ModelProto) =>
  Object.fromEntries(model.graph!.input.map((input) => [input.name, declaredShape(input)]));

describe.each(networkCases)('adaptor of $name', ({ build }) => {
  const network = build(layout, blocks, norm);
  const parameters = randomParameters(network);
  const scales = someScales(network);
  let model: ModelProto;
  let session: ort.InferenceSession;

  beforeAll(async () => {
    model = await adaptorModel({ network, parameters, layout, scales, metadata: { labels: '["a"]' } });
    session = await createSession(encodeModel(model), { threads: 1 });
  });
  afterAll(() => session.release());

  it('has the inputs and outputs of the contract, and no others', () => {
    const expected: Record<string, unknown> = {};
    if (network.maps.length > 0) expected.features = ['batch', network.maps.length, layout.tokens, layout.width];
    if (network.usesBase) expected.base = ['batch', layout.width];
    expect(inputsOf(model)).toEqual(expected);
    expect(model.graph!.output.map((output) => [output.name, declaredShape(output)])).toEqual([
      ['logits', ['batch', CLASSES]],
    ]);
  });

  it.each([1, 3, 32])('gives the logits of the app at batch %i', async (batch) => {
    const wanted = await inApp(network, parameters, scales, batch);
    const found = await exported(session, network, batch);
    expect(found.dims).toEqual([batch, CLASSES]);
    expect(Math.max(...wanted) - Math.min(...wanted)).toBeGreaterThan(0.5);
    expect(largestDifference(found.data as Float32Array, wanted)).toBeLessThan(1e-5);
  });

  it('carries every parameter under its name and shape, and the metadata', () => {
    const weights = new Map(model.graph!.initializer.map((each) => [each.name, each]));
    for (const { name, shape } of network.parameters)
      expect(weights.get(name)?.dims.map(Number), name).toEqual([...shape]);
    const metadata = Object.fromEntries(model.metadataProps.map(({ key, value }) => [key, value]));
    expect(metadata.labels).toBe('["a"]');
    expect(JSON.parse(metadata.scales!)).toEqual(scales);
    expect(JSON.parse(metadata.maps!)).toHaveLength(network.maps.length);
  });
});

describe('an adaptor that does not fit', () => {
  const network = networkCases[1]!.build(layout, blocks, norm);

  it('refuses parameters of another network and scales for other maps', async () => {
    const parameters = randomParameters(network);
    const scales = someScales(network);
    await expect(adaptorModel({ network, layout, scales, parameters: parameters.subarray(1) })).rejects.toThrow(
      /parameters/,
    );
    await expect(adaptorModel({ network, layout, scales: scales.slice(1), parameters })).rejects.toThrow(/scales/);
  });

  it('depends on the scales: twice as large ones are another model', async () => {
    const parameters = randomParameters(network);
    const one = await inApp(network, parameters, someScales(network), 3);
    const doubled = someScales(network).map((scale) => 2 * scale);
    const two = await inApp(network, parameters, doubled, 3);
    expect(largestDifference(one, two)).toBeGreaterThan(0.01);
  });
});

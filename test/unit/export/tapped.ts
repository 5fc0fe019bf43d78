import * as ort from 'onnxruntime-node';
import type { VitStructure } from '../../../src-main/backbone/find-blocks.ts';
import { addTaps, mapValues } from '../../../src-main/backbone/surgery.ts';
import { CompiledEngine } from '../../../src-main/engine/compiled.ts';
import { createSession } from '../../../src-main/engine/session.ts';
import { encodeModel } from '../../../src-main/engine/onnx/model.ts';
import type { ModelProto } from '../../../src-main/engine/onnx/onnx_pb.ts';
import type { Buffers } from '../../../src-main/engine/program.ts';
import type { Network, Pool } from '../../../src-main/methods/network.ts';
import { ParameterLayout } from '../../../src-main/training/parameters.ts';
import { logitsProgram } from '../../../src-main/training/programs.ts';
import { randomFloats } from '../engine/random-floats.ts';

type Values = Record<string, ort.Tensor>;

/** Runs a model once on its encoded bytes. */
export async function runModel(model: ModelProto, feeds: Values): Promise<Values> {
  const session = await createSession(encodeModel(model), { threads: 1 });
  try {
    return { ...(await session.run(feeds)) };
  } finally {
    await session.release();
  }
}

/** Images of noise on a slope that differs between them, [count, 3, height, width]. */
export function floatImages({ imageHeight: height, imageWidth: width }: VitStructure, count: number): ort.Tensor {
  const pixels = randomFloats(count * 3 * height * width, 8);
  const slopes = randomFloats(count * 3, 9);
  pixels.forEach((value, i) => {
    const plane = Math.floor(i / (height * width));
    pixels[i] = 0.4 * value + slopes[plane]! * ((i % width) / width - 0.5);
  });
  return new ort.Tensor('float32', pixels, [count, 3, height, width]);
}

export interface Trained {
  network: Network;
  parameters: Float32Array;
  scales: readonly number[];
  pool: Pool;
}

/** Logits the way the app computes them: the tapped backbone's maps and base into the logits program. */
export async function inAppLogits(
  backbone: ModelProto,
  structure: VitStructure,
  { network, parameters, scales, pool }: Trained,
  images: ort.Tensor,
): Promise<Float32Array> {
  const batch = images.dims[0]!;
  const { tokens, width, prefix } = structure;
  const tapped = addTaps(backbone, structure, { maps: network.maps, base: true });
  const feeds: Values = { [structure.input.name]: images };
  network.maps.forEach((map, index) => {
    feeds[mapValues(map).scale] = new ort.Tensor('float32', Float32Array.of(scales[index]!), []);
  });
  const features = await runModel(tapped, feeds);
  const buffers: Buffers = { parameters };
  network.maps.forEach((map, index) => {
    const { buffer, byteOffset, length } = features[mapValues(map).map]!.data as Uint16Array;
    buffers[`map_${index}`] = new Uint16Array(buffer, byteOffset, length);
  });
  if (network.usesBase) buffers.base = features[pool === 'cls' ? 'base_cls' : 'base_mean']!.data as Float32Array;
  const program = logitsProgram(network, new ParameterLayout(network.parameters), {
    batch,
    layout: { tokens, width, prefix },
    scales,
    rowSums: false,
    dropPath: false,
  });
  const executable = await new CompiledEngine({ threads: 1 }).compile(program);
  const { logits } = await executable.run(buffers);
  await executable.dispose();
  return logits as Float32Array;
}

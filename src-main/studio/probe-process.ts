/** The other side of probe.ts: answers one question and ends. It may crash; that is what it is for. */
import { getBackend, matMul, relu, version_core, type Tensor } from '@tensorflow/tfjs-core';
import * as ort from 'onnxruntime-node';
import { parent } from '../base/parent.ts';
import { loadNativeTensorflow } from '../engine/native-tensorflow.ts';
import { DataType, encodeModel, model, node, valueInfo } from '../engine/onnx/model.ts';
import { openEngine } from '../engine/open-engine.ts';
import type { Engine } from '../engine/program.ts';
import { explainDevice, oneLine, questionSchema } from './probe.ts';
import type { Answer, Question } from './probe.ts';

const answer = await ask(questionSchema.parse(JSON.parse(process.argv[2] ?? 'null'))).catch(
  (error: unknown): Answer => ({ works: false, why: oneLine(error instanceof Error ? error.message : String(error)) }),
);
parent.tell(answer);

async function ask(question: Question): Promise<Answer> {
  switch (question.ask) {
    case 'compiled': {
      const { ORT_VERSION } = await import('../engine/session.ts');
      return { ...(await tryEngine(await openEngine('compiled', 1))), version: ORT_VERSION };
    }
    case 'eager':
      return tryEager();
    case 'decoder':
      return tryDecoder();
    case 'device':
      return tryDevice(question.device).catch((error: unknown) => ({
        works: false,
        why: explainDevice(error instanceof Error ? error.message : String(error)),
      }));
  }
}

/** relu(x y): [2, 2] by [2, 2], checked to the number. */
async function tryEngine(engine: Engine): Promise<Answer> {
  const matrix = { shape: [2, 2], storage: 'float32' } as const;
  const executable = await engine.compile({
    inputs: { x: matrix, y: matrix },
    run: ({ x, y }) => ({ z: relu(matMul(x as Tensor, y as Tensor)) }),
  });
  const { z } = await executable.run({ x: Float32Array.of(1, 2, 3, 4), y: Float32Array.of(1, 0, 0, -1) });
  await executable.dispose();
  return checked(z);
}

/** On the backend that training would take, which a user may add: TF.js's native library is no dependency. */
async function tryEager(): Promise<Answer> {
  const answer = await tryEngine(await openEngine('eager', 1));
  const { why } = await loadNativeTensorflow();
  const notNative = why === undefined ? {} : { why: `the native library is not used: ${oneLine(why)}` };
  return { ...notNative, ...answer, version: version_core, backend: getBackend() };
}

function checked(z: ArrayLike<number> | undefined): Answer {
  const right = z !== undefined && [1, 0, 3, 0].every((value, index) => Math.abs(value - z[index]!) < 1e-3);
  return right ? { works: true } : { works: false, why: 'it computes wrong numbers' };
}

async function tryDevice(device: string): Promise<Answer> {
  const bytes = encodeModel(
    model({
      name: 'probe',
      nodes: [node('MatMul', ['x', 'y'], ['xy']), node('Relu', ['xy'], ['z'])],
      inputs: [valueInfo('x', DataType.FLOAT, [2, 2]), valueInfo('y', DataType.FLOAT, [2, 2])],
      outputs: [valueInfo('z', DataType.FLOAT, [2, 2])],
      initializers: [],
    }),
  );
  const session = await ort.InferenceSession.create(bytes, {
    executionProviders: [device],
    logSeverityLevel: 3,
    // Else what the device refuses would quietly run on the CPU.
    extra: device === 'cpu' ? {} : { session: { disable_cpu_ep_fallback: '1' } },
  });
  const { z } = await session.run({
    x: new ort.Tensor('float32', Float32Array.of(1, 2, 3, 4), [2, 2]),
    y: new ort.Tensor('float32', Float32Array.of(1, 0, 0, -1), [2, 2]),
  });
  return checked(z?.data as Float32Array);
}

/** Paints and reads back one pixel. */
async function tryDecoder(): Promise<Answer> {
  const { default: sharp } = await import('sharp');
  const create = { width: 1, height: 1, channels: 3, background: { r: 255, g: 0, b: 0 } } as const;
  const png = await sharp({ create }).png().toBuffer();
  const pixel = await sharp(png).raw().toBuffer();
  const right = pixel[0] === 255 && pixel[1] === 0;
  return {
    ...(right ? { works: true } : { works: false, why: 'it reads wrong colours' }),
    version: `sharp ${sharp.versions.sharp}`,
  };
}

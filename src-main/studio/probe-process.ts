/** The other side of probe.ts: answers one question and ends. It may crash; that is what it is for. */
import { matMul, relu, version_core, type Tensor } from '@tensorflow/tfjs-core';
import * as ort from 'onnxruntime-node';
import type { Engine } from '../engine/program.ts';
import { DataType, encodeModel, model, node, valueInfo } from '../engine/onnx/model.ts';
import { explainDevice, oneLine, questionSchema } from './probe.ts';
import type { Answer, Question } from './probe.ts';

const answer = await ask(questionSchema.parse(JSON.parse(process.argv[2] ?? 'null'))).catch(
  (error: unknown): Answer => ({ works: false, why: oneLine(error instanceof Error ? error.message : String(error)) }),
);
process.send?.(answer, () => process.exit(0));

async function ask(question: Question): Promise<Answer> {
  switch (question.ask) {
    case 'compiled': {
      const { CompiledEngine } = await import('../engine/compiled.ts');
      const { ORT_VERSION } = await import('../engine/session.ts');
      return { ...(await tryEngine(new CompiledEngine({ threads: 1 }))), version: ORT_VERSION };
    }
    case 'eager': {
      const { EagerEngine } = await import('../engine/eager.ts');
      return { ...(await tryEngine(new EagerEngine())), version: version_core };
    }
    case 'native-tensorflow':
      return loadNativeTensorFlow();
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

/** TF.js's native library is no dependency: a user may add it. */
async function loadNativeTensorFlow(): Promise<Answer> {
  for (const name of ['@tensorflow/tfjs-node-gpu', '@tensorflow/tfjs-node']) {
    try {
      const library = (await import(name)) as { version?: Record<string, string> };
      return { works: true, version: `${name} ${library.version?.['tfjs-node'] ?? ''}`.trim() };
    } catch (error) {
      const missing = error instanceof Error && 'code' in error && error.code === 'ERR_MODULE_NOT_FOUND';
      if (!missing)
        return { works: false, why: `${name} is installed and cannot be loaded: ${oneLine(String(error))}` };
    }
  }
  return { works: false, why: 'neither @tensorflow/tfjs-node-gpu nor @tensorflow/tfjs-node is installed' };
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

import { createRequire } from 'node:module';
import * as ort from 'onnxruntime-node';
import { encodeModel } from './onnx/model.ts';
import {
  allocate,
  checkFeeds,
  type Buffers,
  type Engine,
  type Executable,
  type Program,
  type TensorData,
  type TensorSpec,
} from './program.ts';
import { trace } from './trace/trace.ts';

export const ORT_VERSION = (createRequire(import.meta.url)('onnxruntime-node/package.json') as { version: string })
  .version;

export interface SessionOptions {
  /** Threads inside one operator; 1 leaves the rest of the machine to other trials. */
  threads: number;
}

/** The default engine: a program becomes one ONNX graph that onnxruntime runs. */
export class CompiledEngine implements Engine {
  readonly name = 'compiled';
  readonly description: string;

  constructor(private readonly options: SessionOptions) {
    this.description = `onnxruntime ${ORT_VERSION}, cpu, ${options.threads} ${options.threads === 1 ? 'thread' : 'threads'}`;
  }

  async compile(program: Program): Promise<Executable> {
    const traced = await trace(program);
    const session = await createSession(encodeModel(traced.model), this.options);
    return new CompiledProgram(session, program.inputs, traced.outputs);
  }
}

/** Opens a model with this project's session settings. */
export function createSession(model: Uint8Array | string, { threads }: SessionOptions): Promise<ort.InferenceSession> {
  const options: ort.InferenceSession.SessionOptions = {
    executionProviders: ['cpu'],
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    executionMode: 'sequential',
    graphOptimizationLevel: 'all',
    logSeverityLevel: 3,
    extra: { session: { set_denormal_as_zero: '1' } },
  };
  return typeof model === 'string'
    ? ort.InferenceSession.create(model, options)
    : ort.InferenceSession.create(model, options);
}

class CompiledProgram implements Executable {
  constructor(
    private readonly session: ort.InferenceSession,
    readonly inputs: Readonly<Record<string, TensorSpec>>,
    readonly outputs: Readonly<Record<string, TensorSpec>>,
  ) {}

  /** Feeds and results are handed over by reference: onnxruntime reads and writes these very buffers. */
  async run(feeds: Buffers, into: Buffers = {}): Promise<Buffers> {
    checkFeeds(this.inputs, feeds);
    const results: Buffers = {};
    const fetches: Record<string, ort.Tensor> = {};
    for (const [name, spec] of Object.entries(this.outputs)) {
      results[name] = into[name] ?? allocate(spec);
      fetches[name] = toOrt(spec, results[name]);
    }
    const inputs: Record<string, ort.Tensor> = {};
    for (const [name, spec] of Object.entries(this.inputs)) inputs[name] = toOrt(spec, feeds[name]!);
    await this.session.run(inputs, fetches);
    return results;
  }

  async dispose(): Promise<void> {
    await this.session.release();
  }
}

const Float16 = (
  globalThis as { Float16Array?: new (buffer: ArrayBufferLike, offset: number, length: number) => ArrayBufferView }
).Float16Array;

/** A view of `data` as onnxruntime wants it; float16 is a Float16Array where the platform has one. */
export function toOrt(spec: TensorSpec, data: TensorData): ort.Tensor {
  const view = spec.storage === 'float16' && Float16 ? new Float16(data.buffer, data.byteOffset, data.length) : data;
  return new ort.Tensor(spec.storage as 'float32', view as Float32Array, spec.shape);
}

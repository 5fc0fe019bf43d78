import { createRequire } from 'node:module';
import * as ort from 'onnxruntime-node';
import { allocate, checkFeeds, type Buffers, type Executable, type TensorSpec } from './program.ts';
import type { SentTensor } from './session-messages.ts';

/* onnxruntime as it is used here. This file knows nothing of TF.js, so that threads that only run models start fast. */

export const ORT_VERSION = (createRequire(import.meta.url)('onnxruntime-node/package.json') as { version: string })
  .version;

export interface SessionOptions {
  /** Threads inside one operator; 1 leaves the rest of the machine to others. */
  threads: number;
}

/** A program as an ONNX model: plain data, which any thread can open. */
export interface LoweredProgram {
  model: Uint8Array;
  inputs: Readonly<Record<string, TensorSpec>>;
  outputs: Readonly<Record<string, TensorSpec>>;
}

/** Makes a lowered program ready to run on the calling thread. */
export async function openProgram(
  { model, inputs, outputs }: LoweredProgram,
  options: SessionOptions,
): Promise<Executable> {
  return new CompiledProgram(await createSession(model, options), inputs, outputs);
}

/** Opens a model with this project's session settings. */
export function createSession(model: Uint8Array | string, { threads }: SessionOptions): Promise<ort.InferenceSession> {
  const options: ort.InferenceSession.SessionOptions = {
    executionProviders: ['cpu'],
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    executionMode: 'sequential',
    graphOptimizationLevel: 'all',
    // Errors are thrown with the same words.
    logSeverityLevel: 4,
    // A pool that spins while it waits takes the cores of whoever works beside it: a training epoch took half as long again.
    extra: { session: { set_denormal_as_zero: '1', intra_op: { allow_spinning: '0' } } },
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

/**
 * onnxruntime-common looks once, at the first tensor, whether the platform has Float16Array (Node 24 has) and from then
 * on hands that to the native binding, which takes it for empty. Half precision is bits in a Uint16Array here on every
 * Node, so the look happens while there is none to be seen.
 */
function keepHalvesAsBits(): void {
  const holder = globalThis as { Float16Array?: unknown };
  const hidden = holder.Float16Array;
  if (hidden === undefined) return;
  holder.Float16Array = undefined;
  try {
    new ort.Tensor('float32', new Float32Array(1), [1]);
  } finally {
    holder.Float16Array = hidden;
  }
}
keepHalvesAsBits();

/** `data`, by reference, as onnxruntime's tensor. */
export function toOrt(spec: Pick<SentTensor, 'shape' | 'storage'>, data: SentTensor['data']): ort.Tensor {
  return new ort.Tensor(spec.storage as 'float32', data as Float32Array, spec.shape);
}

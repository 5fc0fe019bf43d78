import {
  getKernelsForBackend,
  KernelBackend,
  registerBackend,
  registerKernel,
  type DataId,
  type DataType,
  type TensorInfo,
} from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import type { Recorder } from './recorder.ts';
import { TraceError, type Value } from './recorder.ts';

export const TRACE_BACKEND = 'sidetune-trace';

/** What a kernel's recorder sees: values instead of tensors. */
export interface KernelCall<Attributes> {
  recorder: Recorder;
  inputs: Record<string, Value>;
  /** Inputs in the order TF.js numbered them, for kernels with a list of inputs (Concat, Pack, AddN). */
  list: Value[];
  attributes: Attributes;
}

/** A TF.js backend whose tensors are names in a graph: kernels compute nothing and record nodes. */
export class TraceBackend extends KernelBackend {
  private readonly values = new Map<DataId, Value>();
  private active: Recorder | undefined;

  /** Runs `body` with a fresh recording; recordings do not nest. */
  record<T>(recorder: Recorder, body: () => T): T {
    this.active = recorder;
    try {
      return body();
    } finally {
      this.active = undefined;
      this.values.clear();
    }
  }

  get recorder(): Recorder {
    if (!this.active) throw new TraceError('A tensor was made on the tracing backend outside a trace.');
    return this.active;
  }

  resolve(info: { dataId: DataId }): Value {
    const value = this.values.get(info.dataId);
    if (!value)
      throw new TraceError(
        'The program uses a tensor that was made before it was traced; make constants inside the program.',
      );
    return value;
  }

  infoOf(value: Value): TensorInfo {
    const dataId = {};
    this.values.set(dataId, value);
    return { dataId, shape: [...value.shape], dtype: value.dtype };
  }

  override write(values: unknown, shape: number[], dtype: DataType): DataId {
    return this.infoOf(this.recorder.constant(values as ArrayLike<number>, shape, dtype)).dataId;
  }

  override readSync(): never {
    throw new TraceError(
      'The program reads a tensor while it is traced (dataSync, arraySync); only ops on tensors can be recorded.',
    );
  }

  override read(): never {
    return this.readSync();
  }

  override move(): never {
    throw new TraceError('The program uses a tensor of another backend; make constants inside the program.');
  }

  override numDataIds(): number {
    return this.values.size;
  }

  override disposeData(dataId: DataId): boolean {
    this.values.delete(dataId);
    return true;
  }

  override refCount(): number {
    return 1;
  }

  override incRef(): void {}

  override memory(): { unreliable: boolean } {
    return { unreliable: true };
  }

  override floatPrecision(): 32 {
    return 32;
  }

  override dispose(): void {
    this.values.clear();
  }
}

export const traceBackend = new TraceBackend();
const recorded = new Set<string>();

/** Registers how one TF.js kernel is recorded. Attributes are what TF.js passes for that kernel (`kernel_names`). */
export function recordKernel<Attributes>(
  kernelName: string,
  record: (call: KernelCall<Attributes>) => Value | Value[],
): void {
  recorded.add(kernelName);
  registerKernel({
    kernelName,
    backendName: TRACE_BACKEND,
    kernelFunc: ({ inputs, attrs }) => {
      const list: Value[] = [];
      const named: Record<string, Value> = {};
      for (const [name, input] of Object.entries(inputs)) {
        if (input == null) continue;
        named[name] = traceBackend.resolve(input);
        list.push(named[name]);
      }
      const result = record({
        recorder: traceBackend.recorder,
        inputs: named,
        list,
        attributes: (attrs ?? {}) as Attributes,
      });
      return Array.isArray(result) ? result.map((value) => traceBackend.infoOf(value)) : traceBackend.infoOf(result);
    },
  });
}

/** Registers the backend, and a refusal by name for each kernel that the CPU backend has and the tracer has not. */
export function registerTraceBackend(): void {
  registerBackend(TRACE_BACKEND, () => traceBackend, 0);
  for (const { kernelName } of getKernelsForBackend('cpu')) {
    if (recorded.has(kernelName)) continue;
    registerKernel({
      kernelName,
      backendName: TRACE_BACKEND,
      kernelFunc: () => {
        throw new TraceError(
          `TensorFlow.js op '${kernelName}' cannot be recorded as ONNX; write the program without it or use --engine eager.`,
        );
      },
    });
  }
}

import { engine, setBackend, tensor, tidy, type Tensor } from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import './gradients.ts';
import { registerNormalize } from './normalize-kernel.ts';
import { halvesToFloats } from './half.ts';
import {
  checkFeeds,
  type Buffers,
  type Engine,
  type Executable,
  type Program,
  type TensorData,
  type TensorSpec,
  type Tensors,
} from './program.ts';

/** Runs programs on TensorFlow.js itself, op by op: the reference that the compiled engine is tested against. */
export class EagerEngine implements Engine {
  readonly name = 'eager';
  readonly description: string;

  /** `backend`: a registered TF.js backend, 'cpu' or the native 'tensorflow'. */
  constructor(private readonly backend: string = 'cpu') {
    this.description = `TensorFlow.js, ${backend} backend`;
  }

  async compile(program: Program): Promise<Executable> {
    await setBackend(this.backend);
    registerNormalize(this.backend);
    return new EagerProgram(program, this.backend);
  }
}

class EagerProgram implements Executable {
  readonly inputs: Readonly<Record<string, TensorSpec>>;
  outputs: Readonly<Record<string, TensorSpec>> = {};

  constructor(
    private readonly program: Program,
    private readonly backend: string,
  ) {
    this.inputs = program.inputs;
  }

  async run(feeds: Buffers, into: Buffers = {}): Promise<Buffers> {
    checkFeeds(this.inputs, feeds);
    await setBackend(this.backend);
    const results: Buffers = {};
    engine().startScope();
    try {
      const named = tidy(() => {
        const inputs: Tensors = {};
        for (const [name, spec] of Object.entries(this.inputs)) inputs[name] = toTensor(spec, feeds[name]!);
        return this.program.run(inputs);
      });
      const outputs: Record<string, TensorSpec> = {};
      for (const [name, value] of Object.entries(named)) {
        const data = (await value.data()) as TensorData;
        outputs[name] = { shape: value.shape, storage: value.dtype === 'int32' ? 'int32' : 'float32' };
        const target = into[name];
        if (target) target.set(data);
        results[name] = target ?? data.slice();
      }
      this.outputs = outputs;
    } finally {
      engine().endScope();
    }
    return results;
  }

  async dispose(): Promise<void> {}
}

/** Values are copied: TF.js keeps a reference to what it is given, and callers reuse their buffers. */
function toTensor({ shape, storage }: TensorSpec, data: TensorData): Tensor {
  if (storage === 'float16') return tensor(halvesToFloats(data as Uint16Array), [...shape], 'float32');
  return tensor(data.slice(), [...shape], storage);
}

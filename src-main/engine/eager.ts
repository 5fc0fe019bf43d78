import { enableProdMode, engine, setBackend, tensor, type Tensor } from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import './gradients.ts';
import { registerNormalize } from './normalize-kernel.ts';
import { withTfjs } from './tfjs-turn.ts';
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

// It else advises, in a banner on stderr, a native library that may not be there for this Node; "sidetune doctor" says.
enableProdMode();

/** Runs programs on TensorFlow.js itself, op by op: the reference that the compiled engine is tested against. */
export class EagerEngine implements Engine {
  readonly name = 'eager';
  readonly description: string;

  /** `backend`: a registered TF.js backend, 'cpu' or the native 'tensorflow'. */
  constructor(private readonly backend: string = 'cpu') {
    this.description = `TensorFlow.js, ${backend} backend`;
  }

  async compile(program: Program): Promise<Executable> {
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
    return withTfjs(async () => {
      await setBackend(this.backend);
      const results: Buffers = {};
      engine().startScope();
      try {
        const outputs: Record<string, TensorSpec> = {};
        for (const [name, value] of Object.entries(this.program.run(this.tensors(feeds)))) {
          const data = (await value.data()) as TensorData;
          outputs[name] = { shape: value.shape, storage: value.dtype === 'int32' ? 'int32' : 'float32' };
          into[name]?.set(data);
          results[name] = into[name] ?? data.slice();
        }
        this.outputs = outputs;
      } finally {
        engine().endScope();
      }
      return results;
    });
  }

  private tensors(feeds: Buffers): Tensors {
    return Object.fromEntries(Object.entries(this.inputs).map(([name, spec]) => [name, toTensor(spec, feeds[name]!)]));
  }

  async dispose(): Promise<void> {}
}

/** Values are copied: TF.js keeps a reference to what it is given, and callers reuse their buffers. */
function toTensor({ shape, storage }: TensorSpec, data: TensorData): Tensor {
  if (storage === 'float16') return tensor(halvesToFloats(data as Uint16Array), [...shape], 'float32');
  return tensor(data.slice(), [...shape], storage);
}

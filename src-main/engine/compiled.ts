import { encodeModel } from './onnx/model.ts';
import type { Engine, Executable, Program } from './program.ts';
import { openProgram, ORT_VERSION, type LoweredProgram, type SessionOptions } from './session.ts';
import { trace } from './trace/trace.ts';

/** The default engine: a program becomes one ONNX graph that onnxruntime runs. */
export class CompiledEngine implements Engine {
  readonly name = 'compiled';
  readonly description: string;

  constructor(private readonly options: SessionOptions) {
    this.description = `onnxruntime ${ORT_VERSION}, cpu, ${options.threads} ${options.threads === 1 ? 'thread' : 'threads'}`;
  }

  async compile(program: Program): Promise<Executable> {
    return openProgram(await this.lower(program), this.options);
  }

  /** The program as a model, to be opened elsewhere. */
  async lower(program: Program): Promise<LoweredProgram> {
    const { model, outputs } = await trace(program);
    return { model: encodeModel(model), inputs: program.inputs, outputs };
  }
}

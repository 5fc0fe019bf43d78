import type { Tensor } from '@tensorflow/tfjs-core';

/** How a tensor lies in memory at a program's edge. `float16` is bits in a Uint16Array; inside a program it is float32. */
export type Storage = 'float32' | 'float16' | 'int32';

export interface TensorSpec {
  readonly shape: readonly number[];
  readonly storage: Storage;
}

export type TensorData = Float32Array | Uint16Array | Int32Array;
export type Tensors = Record<string, Tensor>;
export type Buffers = Record<string, TensorData>;

/**
 * A pure function of named tensors, written with TensorFlow.js ops. Shapes are fixed; `run` is called once to be
 * compiled, or at every step to be run eagerly, so it must not read tensor values nor keep state.
 */
export interface Program {
  readonly inputs: Readonly<Record<string, TensorSpec>>;
  run(inputs: Tensors): Tensors;
}

/** A program made ready to run by an engine. */
export interface Executable {
  readonly inputs: Readonly<Record<string, TensorSpec>>;
  readonly outputs: Readonly<Record<string, TensorSpec>>;
  /**
   * Runs once. Buffers given in `into` are written in place; the rest are allocated.
   * @throws Error when a feed is missing or has the wrong number of elements; it names the feed.
   */
  run(feeds: Buffers, into?: Buffers): Promise<Buffers>;
  dispose(): Promise<void>;
}

/** Turns programs into executables. Every engine gives the same numbers to float accuracy. */
export interface Engine {
  readonly name: 'compiled' | 'eager';
  /** Words for people: where the numbers are computed, for instance "onnxruntime 1.30.0, cpu". */
  readonly description: string;
  compile(program: Program): Promise<Executable>;
}

export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((size, dimension) => size * dimension, 1);
}

export function allocate(spec: TensorSpec): TensorData {
  const size = sizeOf(spec.shape);
  if (spec.storage === 'float16') return new Uint16Array(size);
  return spec.storage === 'int32' ? new Int32Array(size) : new Float32Array(size);
}

/** Checks feeds against a program's inputs. @throws Error that names the first feed that does not fit. */
export function checkFeeds(inputs: Readonly<Record<string, TensorSpec>>, feeds: Buffers): void {
  for (const [name, spec] of Object.entries(inputs)) {
    const feed = feeds[name];
    if (!feed) throw new Error(`The program's input '${name}' was not fed.`);
    if (feed.length !== sizeOf(spec.shape))
      throw new Error(
        `Input '${name}' has ${feed.length} elements; its shape [${spec.shape.join(', ')}] needs ${sizeOf(spec.shape)}.`,
      );
  }
}

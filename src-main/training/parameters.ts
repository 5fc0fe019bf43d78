import { reshape, slice, type Tensor, type Tensor1D } from '@tensorflow/tfjs-core';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';
import { sizeOf } from '../engine/program.ts';
import type { ParameterSpec } from '../methods/network.ts';
import { normal } from './random.ts';

/** A run of parameters that the optimizer treats alike. */
export interface Segment {
  part: 'side' | 'head';
  decay: boolean;
  offset: number;
  size: number;
}

export interface PlacedParameter extends ParameterSpec {
  offset: number;
  size: number;
}

/**
 * All parameters of a network as one vector, so that a step hands three buffers to onnxruntime and not hundreds, and
 * the optimizer is a dozen nodes. Parameters are placed by segment: side before head, decayed before not.
 */
export class ParameterLayout {
  readonly parameters: readonly PlacedParameter[];
  readonly segments: readonly Segment[];
  readonly size: number;

  constructor(specs: readonly ParameterSpec[]) {
    const segments: Segment[] = [];
    const placed: PlacedParameter[] = [];
    let offset = 0;
    for (const part of ['side', 'head'] as const) {
      for (const decay of [true, false]) {
        const start = offset;
        for (const spec of specs) {
          if (spec.part !== part || spec.decay !== decay) continue;
          const size = sizeOf(spec.shape);
          placed.push({ ...spec, offset, size });
          offset += size;
        }
        if (offset > start) segments.push({ part, decay, offset: start, size: offset - start });
      }
    }
    this.parameters = placed;
    this.segments = segments;
    this.size = offset;
  }

  /** Number of elements in one part. */
  count(part: 'side' | 'head'): number {
    return this.segments.filter((segment) => segment.part === part).reduce((sum, { size }) => sum + size, 0);
  }

  /** Initial values; the seed alone decides them. */
  initialize(seed: number): Float32Array {
    const vector = new Float32Array(this.size);
    const generator = xoroshiro128plus(seed);
    for (const { initial, offset, size } of this.parameters) {
      if ('value' in initial) vector.fill(initial.value, offset, offset + size);
      else for (let i = 0; i < size; i++) vector[offset + i] = initial.deviation * normal(generator);
    }
    return vector;
  }

  /** Tensors of every parameter, cut from the vector. */
  cut(vector: Tensor1D): Record<string, Tensor> {
    return Object.fromEntries(
      this.parameters.map(({ name, shape, offset, size }) => [
        name,
        reshape(slice(vector, [offset], [size]), [...shape]),
      ]),
    );
  }

  /** Views on every parameter's values. */
  views(vector: Float32Array): Record<string, Float32Array> {
    return Object.fromEntries(
      this.parameters.map(({ name, offset, size }) => [name, vector.subarray(offset, offset + size)]),
    );
  }
}

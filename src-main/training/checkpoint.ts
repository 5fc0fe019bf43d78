import { Failure } from '../base/failure.ts';
import { readSafetensors, writeSafetensors, type SafetensorsTensor } from '../workspace/safetensors.ts';
import type { ParameterLayout } from './parameters.ts';

/** Everything that going on with a run needs; vectors are in the layout's order. */
export interface Checkpoint {
  /** Epochs done. */
  epoch: number;
  parameters: Float32Array;
  /** AdamW's moments. */
  mean: Float32Array;
  variance: Float32Array;
}

function bytesOf(values: Float32Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

function named(layout: ParameterLayout, vector: Float32Array, prefix = ''): [string, SafetensorsTensor][] {
  const views = layout.views(vector);
  return layout.parameters.map(({ name, shape }) => [
    prefix + name,
    { dtype: 'F32', shape, data: bytesOf(views[name]!) },
  ]);
}

/** Writes parameters alone, each tensor under its name. */
export async function writeParameters(
  path: string,
  layout: ParameterLayout,
  parameters: Float32Array,
  metadata: Record<string, string>,
): Promise<void> {
  await writeSafetensors(path, new Map(named(layout, parameters)), metadata);
}

/** Writes parameters and, as `adam.mean.NAME` and `adam.variance.NAME`, the optimizer's moments. */
export async function writeCheckpoint(
  path: string,
  layout: ParameterLayout,
  checkpoint: Checkpoint,
  metadata: Record<string, string>,
): Promise<void> {
  const tensors = new Map([
    ...named(layout, checkpoint.parameters),
    ...named(layout, checkpoint.mean, 'adam.mean.'),
    ...named(layout, checkpoint.variance, 'adam.variance.'),
  ]);
  await writeSafetensors(path, tensors, { ...metadata, epoch: String(checkpoint.epoch) });
}

/** @throws Failure `damaged-file` when a tensor is absent or of another shape. */
export async function readCheckpoint(path: string, layout: ParameterLayout): Promise<Checkpoint> {
  const { tensors, metadata } = await readSafetensors(path);
  const vector = (prefix: string) => gather(path, layout, tensors, prefix);
  const epoch = Number(metadata.epoch);
  if (!Number.isInteger(epoch) || epoch < 0) throw damaged(path, 'does not say its epoch');
  return { epoch, parameters: vector(''), mean: vector('adam.mean.'), variance: vector('adam.variance.') };
}

/** The parameters of a checkpoint as one vector, [layout.size]. @throws Failure `damaged-file`. */
export async function readParameters(path: string, layout: ParameterLayout): Promise<Float32Array> {
  const { tensors } = await readSafetensors(path);
  return gather(path, layout, tensors, '');
}

/** The metadata that a checkpoint was written with. */
export async function readCheckpointMetadata(path: string): Promise<Record<string, string>> {
  return (await readSafetensors(path)).metadata;
}

function gather(
  path: string,
  layout: ParameterLayout,
  tensors: ReadonlyMap<string, SafetensorsTensor>,
  prefix: string,
): Float32Array {
  const vector = new Float32Array(layout.size);
  for (const { name, size, offset } of layout.parameters) {
    const found = tensors.get(prefix + name);
    if (found?.dtype !== 'F32' || found.data.byteLength !== 4 * size)
      throw damaged(path, `lacks "${prefix}${name}" or has it in another shape`);
    vector.set(new Float32Array(found.data.buffer, found.data.byteOffset, size), offset);
  }
  return vector;
}

function damaged(path: string, what: string): Failure {
  return new Failure('damaged-file', `The checkpoint "${path}" ${what}: it does not belong to this run's settings.`);
}

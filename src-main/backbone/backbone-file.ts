/** What a backbone's folder holds: model.onnx, backbone.json (this schema) and final_norm.safetensors. */
import { z } from 'zod';
import { Failure } from '../base/failure.ts';
import type { SafetensorsTensor } from '../workspace/safetensors.ts';
import type { VitStructure } from './find-blocks.ts';
import { PreprocessingSchema } from './preprocessing.ts';

export const MODEL_FILE = 'model.onnx';
export const RECORD_FILE = 'backbone.json';
export const NORM_FILE = 'final_norm.safetensors';

const count = z.int().nonnegative();

/** A ViT's structure without the final norm's vectors. */
export const structureSchema = z.strictObject({
  input: z.strictObject({
    name: z.string(),
    dataType: count,
    batch: count.nullable(),
    batchSymbol: z.string().nullable(),
    height: count.nullable(),
    width: count.nullable(),
  }),
  imageHeight: count,
  imageWidth: count,
  patchSize: count,
  blocks: count,
  width: count,
  tokens: count,
  prefix: count,
  heads: count.nullable(),
  parameters: count,
  states: z.array(z.string()).min(2),
  precision: z.enum(['float32', 'float16']),
  finalNorm: z.strictObject({
    input: z.string(),
    output: z.string(),
    epsilon: z.number(),
    dataType: count,
  }),
  logits: z.strictObject({ name: z.string(), classes: count }).nullable(),
});

/** How a backbone is reached whose model is not here. */
export const servedSchema = z.strictObject({
  /** Sums that it gives: for each k the power of two by which `gathered_k_fp16` is divided. */
  scales: z.record(z.string().regex(/^\d+$/), z.number().positive()),
  /** Whether encoded pictures can be sent too. */
  takesImages: z.boolean(),
  /** Absolute paths of the files with the token and with the certificate to check the server's by. */
  tokenFile: z.string().optional(),
  caFile: z.string().optional(),
});
export type Served = z.infer<typeof servedSchema>;

export const RecordSchema = z.strictObject({
  format: z.literal(1),
  /** Path of the file that was added, or address of the model that is served. */
  source: z.string(),
  /** Of model.onnx, in hexadecimal. */
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  structure: structureSchema,
  preprocessing: PreprocessingSchema,
  /** Where what was not asked for was taken from; absent: the defaults. */
  preprocessingFrom: z.string().optional(),
  /** Only of one whose model is on a server. */
  served: servedSchema.optional(),
});
export type BackboneRecord = z.infer<typeof RecordSchema>;

/** The structure as backbone.json keeps it: without the final norm's vectors. */
export function recordedStructure(vit: VitStructure): BackboneRecord['structure'] {
  const { input, output, epsilon, dataType } = vit.finalNorm;
  return { ...vit, finalNorm: { input, output, epsilon, dataType } };
}

/** The final norm's vectors as final_norm.safetensors keeps them. */
export function normTensors(vit: VitStructure): Map<string, SafetensorsTensor> {
  const entry = (values: Float32Array): SafetensorsTensor => ({
    dtype: 'F32',
    shape: [values.length],
    data: new Uint8Array(values.buffer, values.byteOffset, values.byteLength),
  });
  return new Map([
    ['scale', entry(vit.finalNorm.scale)],
    ['bias', entry(vit.finalNorm.bias)],
  ]);
}

/** Puts the two together again. Failure `damaged-file` where the vectors do not fit the record. */
export function wholeStructure(
  recorded: BackboneRecord['structure'],
  tensors: ReadonlyMap<string, SafetensorsTensor>,
  path: string,
): VitStructure {
  const vector = (name: string): Float32Array => {
    const tensor = tensors.get(name);
    if (tensor?.dtype !== 'F32' || tensor.shape.length !== 1 || tensor.shape[0] !== recorded.width) {
      throw new Failure(
        'damaged-file',
        `"${path}" should hold the final LayerNorm's ${name} of ${recorded.width} numbers and does not: remove the backbone's folder and add it again.`,
      );
    }
    return new Float32Array(tensor.data.buffer as ArrayBuffer, tensor.data.byteOffset, recorded.width);
  };
  return { ...recorded, finalNorm: { ...recorded.finalNorm, scale: vector('scale'), bias: vector('bias') } };
}

/** What a served backbone takes and puts out: names, datatypes and shapes, the same on every server. */
import type { Datatype } from './datatypes.ts';

/** Input of the model: normalised pixels FP32 [images, 3, height, width]. */
export const PIXELS = 'pixel_values';
/** Input of the model that takes encoded pictures: BYTES [images]. */
export const IMAGE = 'image';
/** Rows of z_L before the final LayerNorm: the CLS token, and the mean of the patch tokens. */
export const CLS = 'cls';
export const MEAN = 'mean';

/** How S_k = z_0 + ... + z_k may travel. */
export const FORMS = ['fp16', 'fp32', 'int8'] as const;
export type Form = (typeof FORMS)[number];

export const gatheredName = (upto: number, form: Form): string => `gathered_${upto}_${form}`;
/** Of the int8 form: code * scale of its token is the value. */
export const scaleName = (upto: number): string => `gathered_${upto}_scale`;

/** The names that have to be asked for to get S_k in a form. */
export function namesOf(upto: number, form: Form): string[] {
  return form === 'int8' ? [gatheredName(upto, form), scaleName(upto)] : [gatheredName(upto, form)];
}

export interface OutputSpec {
  name: string;
  datatype: Datatype;
  /** Of one image. */
  shape: readonly number[];
  /** Index of the last block of the sum; absent for `cls` and `mean`. */
  upto?: number;
}

/** The shape of a ViT as far as outputs depend on it. */
export interface ServedShape {
  tokens: number;
  width: number;
  prefix: number;
}

/** All outputs of a backbone that is served with sums up to these blocks. */
export function outputSpecs({ tokens, width, prefix }: ServedShape, upto: readonly number[]): OutputSpec[] {
  const map = [tokens, width];
  const gathered = upto.flatMap((k): OutputSpec[] => [
    { name: gatheredName(k, 'fp16'), datatype: 'FP16', shape: map, upto: k },
    { name: gatheredName(k, 'fp32'), datatype: 'FP32', shape: map, upto: k },
    { name: gatheredName(k, 'int8'), datatype: 'INT8', shape: map, upto: k },
    { name: scaleName(k), datatype: 'FP32', shape: [tokens], upto: k },
  ]);
  const rows = [...(prefix > 0 ? [CLS] : []), MEAN];
  return [...gathered, ...rows.map((name): OutputSpec => ({ name, datatype: 'FP32', shape: [width] }))];
}

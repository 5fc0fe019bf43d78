/** Datatypes of the Open Inference Protocol, version 2 (kserve/open-inference-protocol, inference_rest.md). */

/** Bytes of an element; BYTES has elements of any length. */
const SIZES = {
  BOOL: 1,
  UINT8: 1,
  UINT16: 2,
  UINT32: 4,
  UINT64: 8,
  INT8: 1,
  INT16: 2,
  INT32: 4,
  INT64: 8,
  FP16: 2,
  BF16: 2,
  FP32: 4,
  FP64: 8,
  BYTES: null,
} as const;

export type Datatype = keyof typeof SIZES;
export const DATATYPES = Object.keys(SIZES) as [Datatype, ...Datatype[]];

/** Bytes of an element, null for BYTES. */
export function elementBytes(datatype: Datatype): number | null {
  return SIZES[datatype];
}

/** Whether the protocol's JSON can carry it: half precision has no spelling there. */
export function fitsJson(datatype: Datatype): boolean {
  return datatype !== 'FP16' && datatype !== 'BF16';
}

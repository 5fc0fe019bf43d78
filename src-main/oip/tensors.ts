/** Tensors of the protocol's messages, as JSON numbers or as Triton's binary tensor data: little-endian, row-major. */
import { elementBytes, fitsJson, type Datatype } from './datatypes.ts';
import { ProtocolError } from './protocol-error.ts';

export interface WireTensor {
  name: string;
  datatype: Datatype;
  shape: readonly number[];
  /** As the binary tensor data extension lays it out; of BYTES, each element after its length in 4 bytes. */
  data: Uint8Array;
}

/** No tensor that this program takes or gives comes near; products of dimensions stay whole numbers below it. */
const MOST_ELEMENTS = 2 ** 40;
/** Levels of nested lists in which JSON may hold a tensor: as many as it has dimensions at most, and some. */
const DEEPEST = 8;

/** Number of elements. @throws ProtocolError for dimensions that are none, or more than can be */
export function elementsOf(name: string, shape: readonly number[]): number {
  let elements = 1;
  for (const dimension of shape) {
    if (!Number.isSafeInteger(dimension) || dimension < 0)
      throw new ProtocolError(
        `The shape of tensor "${name}" has the dimension ${dimension}: they are whole numbers from 0 on.`,
      );
    elements *= dimension;
    if (elements > MOST_ELEMENTS) throw new ProtocolError(`The shape of tensor "${name}" has too many elements.`);
  }
  return elements;
}

/** @throws ProtocolError where binary data has not the size that shape and datatype say */
export function checkSize({ name, datatype, shape, data }: WireTensor): void {
  const elements = elementsOf(name, shape);
  const each = elementBytes(datatype);
  if (each === null) {
    const found = splitBytes({ name, data }).length;
    if (found !== elements)
      throw new ProtocolError(`Tensor "${name}" holds ${found} byte strings, and its shape says ${elements}.`);
  } else if (data.byteLength !== elements * each)
    throw new ProtocolError(
      `Tensor "${name}" has ${data.byteLength} bytes of data, and ${datatype} of shape [${shape.join(', ')}] takes ${elements * each}.`,
    );
}

/** The elements of a BYTES tensor. @throws ProtocolError where a length goes beyond the data */
export function splitBytes({ name, data }: Pick<WireTensor, 'name' | 'data'>): Uint8Array[] {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const elements: Uint8Array[] = [];
  let at = 0;
  while (at < data.byteLength) {
    const end = at + 4 <= data.byteLength ? at + 4 + view.getUint32(at, true) : Infinity;
    if (end > data.byteLength)
      throw new ProtocolError(`Tensor "${name}" is cut short: byte string ${elements.length} goes beyond its data.`);
    elements.push(data.subarray(at + 4, end));
    at = end;
  }
  return elements;
}

/** BYTES elements, each after its length. */
export function joinBytes(elements: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(elements.reduce((sum, { byteLength }) => sum + 4 + byteLength, 0));
  const view = new DataView(whole.buffer);
  let at = 0;
  for (const element of elements) {
    view.setUint32(at, element.byteLength, true);
    whole.set(element, at + 4);
    at += 4 + element.byteLength;
  }
  return whole;
}

/** FP32 data as numbers; copied where it does not lie at a multiple of four. */
export function floatsOf({ data }: Pick<WireTensor, 'data'>): Float32Array {
  const { buffer, byteOffset, byteLength } = data;
  return byteOffset % 4 === 0
    ? new Float32Array(buffer as ArrayBuffer, byteOffset, byteLength / 4)
    : new Float32Array(copyOf(data), 0, byteLength / 4);
}

/** FP16 data as its bits; copied where it does not lie at a multiple of two. */
export function halvesOf({ data }: Pick<WireTensor, 'data'>): Uint16Array {
  const { buffer, byteOffset, byteLength } = data;
  return byteOffset % 2 === 0
    ? new Uint16Array(buffer as ArrayBuffer, byteOffset, byteLength / 2)
    : new Uint16Array(copyOf(data), 0, byteLength / 2);
}

/** The bytes that an array of numbers lies in. */
export function bytesOf({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array {
  return new Uint8Array(buffer as ArrayBuffer, byteOffset, byteLength);
}

/** JSON's `data` of a tensor, flat or nested as its shape is, as binary. @throws ProtocolError */
export function fromJson(tensor: Omit<WireTensor, 'data'>, data: unknown): WireTensor {
  const { name, datatype, shape } = tensor;
  const elements = elementsOf(name, shape);
  const values = flatten(name, data);
  if (values.length !== elements)
    throw new ProtocolError(`Tensor "${name}" has ${values.length} elements, and its shape says ${elements}.`);
  const numbers = (into: Float32Array | Int8Array): Uint8Array => {
    values.forEach((value, index) => {
      if (typeof value !== 'number')
        throw new ProtocolError(`Element ${index} of tensor "${name}" is no number, as ${datatype} has to be.`);
      into[index] = value;
    });
    return bytesOf(into);
  };
  if (datatype === 'FP32') return { ...tensor, data: numbers(new Float32Array(elements)) };
  if (datatype === 'INT8') return { ...tensor, data: numbers(new Int8Array(elements)) };
  throw new ProtocolError(`Tensor "${name}" of ${datatype} has to be sent as binary tensor data, not in the JSON.`);
}

function flatten(name: string, data: unknown): unknown[] {
  if (!Array.isArray(data)) throw new ProtocolError(`Tensor "${name}" has no data: neither in the JSON nor as binary.`);
  let values = data as unknown[];
  for (let depth = 0; values.some((value) => Array.isArray(value)); depth++) {
    if (depth === DEEPEST) throw new ProtocolError(`The data of tensor "${name}" is nested too deeply.`);
    values = values.flat();
  }
  return values;
}

/** A tensor's numbers for JSON. @throws ProtocolError for datatypes that JSON cannot carry */
export function toJson(tensor: WireTensor): number[] {
  const { name, datatype, data } = tensor;
  if (datatype === 'FP32') return Array.from(floatsOf(tensor));
  if (datatype === 'INT8') return Array.from(new Int8Array(data.buffer, data.byteOffset, data.byteLength));
  const advice = fitsJson(datatype) ? 'ask for it as binary data' : 'ask for it as binary data, or for its FP32 output';
  throw new ProtocolError(`Output "${name}" is ${datatype}, which is not sent in JSON: ${advice}.`);
}

/** Of a Buffer, `slice` would be no copy. */
const copyOf = (data: Uint8Array): ArrayBuffer => new Uint8Array(data).buffer;

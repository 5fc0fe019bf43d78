/** Reading the values of ONNX TensorProtos. */
import { Failure } from '../base/failure.ts';
import { fromHalf, halvesToFloats } from '../engine/half.ts';
import { TensorProto_DataLocation, TensorProto_DataType as DataType } from '../engine/onnx/onnx_pb.ts';
import type { TensorProto } from '../engine/onnx/onnx_pb.ts';

const FLOAT_TYPES: readonly number[] = [DataType.FLOAT, DataType.FLOAT16, DataType.DOUBLE, DataType.BFLOAT16];

export const isFloatType = (dataType: number): boolean => FLOAT_TYPES.includes(dataType);

/** Static dimensions of a tensor; [] is a scalar. */
export const dimsOf = (tensor: TensorProto): number[] => tensor.dims.map(Number);

export const elementCount = (dims: readonly number[]): number => dims.reduce((product, dim) => product * dim, 1);

type Values = Float32Array | number[];

/** From `rawData`, copied to where typed arrays may start. */
const FROM_BYTES: Readonly<Record<number, (bytes: ArrayBuffer) => Values>> = {
  [DataType.FLOAT]: (bytes) => new Float32Array(bytes),
  [DataType.DOUBLE]: (bytes) => Array.from(new Float64Array(bytes)),
  [DataType.FLOAT16]: (bytes) => halvesToFloats(new Uint16Array(bytes)),
  [DataType.INT64]: (bytes) => Array.from(new BigInt64Array(bytes), Number),
  [DataType.INT32]: (bytes) => Array.from(new Int32Array(bytes)),
  [DataType.INT8]: (bytes) => Array.from(new Int8Array(bytes)),
  [DataType.UINT8]: (bytes) => Array.from(new Uint8Array(bytes)),
  [DataType.BOOL]: (bytes) => Array.from(new Uint8Array(bytes)),
};

/** From the field that onnx.proto keeps for the type. */
const FROM_FIELD: Readonly<Record<number, (tensor: TensorProto) => Values>> = {
  [DataType.FLOAT]: (tensor) => Float32Array.from(tensor.floatData),
  [DataType.DOUBLE]: (tensor) => tensor.doubleData,
  [DataType.FLOAT16]: (tensor) => tensor.int32Data.map(fromHalf),
  [DataType.INT64]: (tensor) => tensor.int64Data.map(Number),
  [DataType.INT32]: (tensor) => tensor.int32Data,
  [DataType.INT8]: (tensor) => tensor.int32Data,
  [DataType.UINT8]: (tensor) => tensor.int32Data,
  [DataType.BOOL]: (tensor) => tensor.int32Data,
};

/**
 * The tensor's values in row-major order, whatever field they are stored in; undefined for types that hold no plain
 * numbers (strings, 4-bit). Failure when they are kept in another file.
 */
export function tensorValues(tensor: TensorProto): Values | undefined {
  if (tensor.dataLocation === TensorProto_DataLocation.EXTERNAL) {
    throw new Failure(
      'backbone-external-data',
      `The model keeps the weights of "${tensor.name}" in a file beside it; save it again as one .onnx file with the weights inside.`,
    );
  }
  if (tensor.rawData.length > 0) return FROM_BYTES[tensor.dataType]?.(new Uint8Array(tensor.rawData).buffer);
  return FROM_FIELD[tensor.dataType]?.(tensor);
}

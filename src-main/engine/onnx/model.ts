import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import {
  AttributeProto_AttributeType as AttributeType,
  AttributeProtoSchema,
  ModelProtoSchema,
  NodeProtoSchema,
  TensorProto_DataType as DataType,
  TensorProtoSchema,
  ValueInfoProtoSchema,
  type AttributeProto,
  type ModelProto,
  type NodeProto,
  type TensorProto,
  type ValueInfoProto,
} from './onnx_pb.ts';

export { DataType };

/** Opset and IR of every graph that is written from scratch here; read by onnxruntime 1.12 and later. */
export const OPSET = 17;
export const IR_VERSION = 8;

/** A dimension is a number, or the name of a symbolic one. */
export type Dimension = number | string;
export type Attribute = number | { float: number } | string | readonly number[];

/** An ONNX node. A plain number is an `int` attribute, a list of numbers is `ints`, `{ float }` is a `float`. */
export function node(
  opType: string,
  inputs: string[],
  outputs: string[],
  attributes: Readonly<Record<string, Attribute>> = {},
  domain = '',
): NodeProto {
  return create(NodeProtoSchema, {
    opType,
    domain,
    name: outputs[0] ?? '',
    input: inputs,
    output: outputs,
    attribute: Object.entries(attributes).map(([name, value]) => attribute(name, value)),
  });
}

function attribute(name: string, value: Attribute): AttributeProto {
  if (typeof value === 'number')
    return create(AttributeProtoSchema, { name, type: AttributeType.INT, i: BigInt(value) });
  if (typeof value === 'string')
    return create(AttributeProtoSchema, { name, type: AttributeType.STRING, s: new TextEncoder().encode(value) });
  if ('float' in value) return create(AttributeProtoSchema, { name, type: AttributeType.FLOAT, f: value.float });
  return create(AttributeProtoSchema, { name, type: AttributeType.INTS, ints: value.map(BigInt) });
}

/** A tensor of the given little-endian data; int64 is given as numbers. */
export function tensor(
  name: string,
  shape: readonly number[],
  data: Float32Array | Int32Array | Uint16Array | Uint8Array,
  type: DataType,
): TensorProto {
  return create(TensorProtoSchema, {
    name,
    dims: shape.map(BigInt),
    dataType: type,
    rawData: new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
  });
}

export function int64Tensor(
  name: string,
  values: readonly number[],
  shape: readonly number[] = [values.length],
): TensorProto {
  const data = BigInt64Array.from(values, BigInt);
  return tensor(name, shape, new Uint8Array(data.buffer), DataType.INT64);
}

export function floatTensor(name: string, shape: readonly number[], values: Float32Array): TensorProto {
  return tensor(name, shape, values, DataType.FLOAT);
}

export function valueInfo(name: string, type: DataType, shape: readonly Dimension[]): ValueInfoProto {
  return create(ValueInfoProtoSchema, {
    name,
    type: {
      value: {
        case: 'tensorType',
        value: {
          elemType: type,
          shape: {
            dim: shape.map((dimension) => ({
              value:
                typeof dimension === 'number'
                  ? { case: 'dimValue' as const, value: BigInt(dimension) }
                  : { case: 'dimParam' as const, value: dimension },
            })),
          },
        },
      },
    },
  });
}

export interface GraphParts {
  name: string;
  nodes: NodeProto[];
  inputs: ValueInfoProto[];
  outputs: ValueInfoProto[];
  initializers: TensorProto[];
  metadata?: Readonly<Record<string, string>>;
}

export function model(parts: GraphParts): ModelProto {
  return create(ModelProtoSchema, {
    irVersion: BigInt(IR_VERSION),
    producerName: 'sidetune',
    opsetImport: [{ domain: '', version: BigInt(OPSET) }],
    metadataProps: Object.entries(parts.metadata ?? {}).map(([key, value]) => ({ key, value })),
    graph: {
      name: parts.name,
      node: parts.nodes,
      input: parts.inputs,
      output: parts.outputs,
      initializer: parts.initializers,
    },
  });
}

export function encodeModel(value: ModelProto): Uint8Array {
  return toBinary(ModelProtoSchema, value);
}

export function decodeModel(bytes: Uint8Array): ModelProto {
  return fromBinary(ModelProtoSchema, bytes);
}

/** Inference in gRPC's messages: tensors raw, or in the fields that protobuf has for their datatypes. */
import { create, fromBinary, toBinary, type DescMessage, type MessageShape } from '@bufbuild/protobuf';
import { BinaryReader } from '@bufbuild/protobuf/wire';
import { DATATYPES, type Datatype } from '../datatypes.ts';
import type { InferRequest, InferResponse } from '../messages.ts';
import { ProtocolError } from '../protocol-error.ts';
import { bytesOf, checkSize, joinBytes, type WireTensor } from '../tensors.ts';
import { ModelInferRequestSchema, ModelInferResponseSchema, type InferTensorContents } from './grpc_predict_v2_pb.ts';

const RAW_INPUT_CONTENTS = ModelInferRequestSchema.field.rawInputContents.number;
/** Bytes of a request but for raw contents; each of those counts for as many as it takes to describe it. */
const MOST_DESCRIBED = 2 * 2 ** 20;
const SMALL_BYTES = 64;
/** Decoded, a field that nobody knows would be an object. */
const READING = { readUnknownFields: false };

export interface NamedRequest {
  model: string;
  /** Undefined where it says none. */
  version: string | undefined;
  request: InferRequest;
}

/** @throws ProtocolError */
export function decodeInferRequest(bytes: Uint8Array): NamedRequest {
  readAs(() => checkBulk(bytes));
  const message = decode(ModelInferRequestSchema, bytes);
  const { inputs, outputs, rawInputContents: raw, modelName: model, modelVersion, id } = message;
  if (raw.length > 0 && raw.length !== inputs.length)
    throw new ProtocolError(
      `There are ${inputs.length} inputs and ${raw.length} raw_input_contents: one each, or none.`,
    );
  const tensors = inputs.map(({ name, datatype, shape, contents }, index): WireTensor => {
    if (!isDatatype(datatype)) throw new ProtocolError(`Input "${name}" is of no datatype of the protocol.`);
    const tensor = { name, datatype, shape: shape.map(Number) };
    const data = raw[index];
    if (data === undefined) return fromContents(tensor, contents);
    if (contents) throw new ProtocolError(`Input "${name}" has its data twice, raw and as contents.`);
    checkSize({ ...tensor, data });
    return { ...tensor, data };
  });
  return {
    model,
    version: modelVersion === '' ? undefined : modelVersion,
    request: {
      ...(id === '' ? {} : { id }),
      inputs: tensors,
      outputs: outputs.map(({ name }) => ({ name, binary: true })),
      binaryOutput: true,
    },
  };
}

export function encodeInferResponse({ id = '', modelName, modelVersion, outputs }: InferResponse): Uint8Array {
  const message = create(ModelInferResponseSchema, {
    id,
    modelName,
    modelVersion,
    outputs: outputs.map(({ tensor: { name, datatype, shape } }) => ({ name, datatype, shape: shape.map(BigInt) })),
    rawOutputContents: outputs.map(({ tensor }) => tensor.data as Uint8Array<ArrayBuffer>),
  });
  return toBinary(ModelInferResponseSchema, message);
}

/** @throws ProtocolError for what is no message of this kind */
export function decode<T extends DescMessage>(schema: T, bytes: Uint8Array): MessageShape<T> {
  return readAs(() => fromBinary(schema, bytes, READING));
}

function readAs<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof ProtocolError) throw error;
    throw new ProtocolError('The request is not the message that this method takes.');
  }
}

const isDatatype = (text: string): text is Datatype => (DATATYPES as string[]).includes(text);

function fromContents(tensor: Omit<WireTensor, 'data'>, contents: InferTensorContents | undefined): WireTensor {
  const { name, datatype } = tensor;
  const data =
    datatype === 'BYTES'
      ? joinBytes(contents?.bytesContents ?? [])
      : datatype === 'FP32'
        ? bytesOf(Float32Array.from(contents?.fp32Contents ?? []))
        : undefined;
  if (!data) throw new ProtocolError(`Input "${name}" of ${datatype} has to be sent in raw_input_contents.`);
  checkSize({ ...tensor, data });
  return { ...tensor, data };
}

/** Each of millions of fields of a byte or two would become an object: only raw contents may be large. */
function checkBulk(bytes: Uint8Array): void {
  const reader = new BinaryReader(bytes);
  let described = 0;
  while (reader.pos < reader.len) {
    const from = reader.pos;
    const [field, wireType] = reader.tag();
    reader.skip(wireType, field);
    const size = reader.pos - from;
    described += field === RAW_INPUT_CONTENTS ? Math.min(size, SMALL_BYTES) : size;
    if (described > MOST_DESCRIBED)
      throw new ProtocolError(
        `What a request has beside raw_input_contents may have ${MOST_DESCRIBED} bytes: send tensors raw.`,
      );
  }
}

/** The protocol's messages: JSON, then the binary tensor data that it announces, in the order of the tensors. */
import { z } from 'zod';
import { DATATYPES } from './datatypes.ts';
import { ProtocolError } from './protocol-error.ts';
import { checkSize, fromJson, toJson, type WireTensor } from './tensors.ts';

/** The header that says how many bytes of the body are JSON. */
export const HEADER_LENGTH = 'inference-header-content-length';

const parameters = z.record(z.string(), z.unknown());

const tensorSchema = z.object({
  name: z.string(),
  datatype: z.enum(DATATYPES),
  shape: z.array(z.number()).max(16),
  parameters: parameters.optional(),
  data: z.unknown().optional(),
});

const requestSchema = z.object({
  id: z.string().optional(),
  parameters: parameters.optional(),
  inputs: z.array(tensorSchema).max(64),
  outputs: z
    .array(z.object({ name: z.string(), parameters: parameters.optional() }))
    .max(256)
    .optional(),
});

const responseSchema = z.object({
  id: z.string().optional(),
  model_name: z.string().optional(),
  model_version: z.string().optional(),
  parameters: parameters.optional(),
  outputs: z.array(tensorSchema).max(256),
});

export interface AskedOutput {
  name: string;
  binary: boolean;
}

export interface InferRequest {
  id?: string;
  inputs: WireTensor[];
  /** Undefined where the request names none and so asks for all. */
  outputs?: AskedOutput[];
  /** Whether outputs that do not say themselves are wanted as binary. */
  binaryOutput: boolean;
}

export interface InferResponse {
  id?: string;
  modelName: string;
  modelVersion: string;
  outputs: { tensor: WireTensor; binary: boolean }[];
  parameters?: Record<string, number | string | boolean>;
}

/** A body and how many of its bytes are JSON; undefined where all are. */
export interface Encoded {
  parts: Uint8Array[];
  bytes: number;
  headerLength: number | undefined;
}

/** @param headerLength of the header of this name; undefined where there is none. @throws ProtocolError */
export function decodeRequest(body: Uint8Array, headerLength: number | undefined): InferRequest {
  const { json, rest } = splitBody(body, headerLength);
  const { id, inputs, outputs, parameters } = checked(requestSchema, json, 'request');
  const binaryOutput = flag(parameters?.binary_data_output, 'binary_data_output') ?? false;
  return {
    ...(id === undefined ? {} : { id }),
    inputs: takeTensors(inputs, rest),
    ...(outputs && {
      outputs: outputs.map(({ name, parameters: own }) => ({
        name,
        binary: flag(own?.binary_data, 'binary_data') ?? binaryOutput,
      })),
    }),
    binaryOutput,
  };
}

/** Inputs as binary; outputs all asked for as binary. */
export function encodeRequest(inputs: readonly WireTensor[], outputs: readonly string[]): Encoded {
  return joinBody(
    {
      inputs: inputs.map(announced),
      outputs: outputs.map((name) => ({ name, parameters: { binary_data: true } })),
    },
    inputs,
  );
}

/** @throws ProtocolError for an output that JSON cannot carry and that was not asked for as binary */
export function encodeResponse({ id, modelName, modelVersion, outputs, parameters }: InferResponse): Encoded {
  const json = {
    ...(id === undefined ? {} : { id }),
    model_name: modelName,
    model_version: modelVersion,
    ...(parameters ? { parameters } : {}),
    outputs: outputs.map(({ tensor, binary }) => {
      if (binary) return announced(tensor);
      const { name, datatype, shape } = tensor;
      return { name, datatype, shape, data: toJson(tensor) };
    }),
  };
  return joinBody(
    json,
    outputs.filter(({ binary }) => binary).map(({ tensor }) => tensor),
  );
}

/** The outputs by name, and what the server says beside. @throws ProtocolError */
export function decodeResponse(
  body: Uint8Array,
  headerLength: number | undefined,
): { outputs: Map<string, WireTensor>; parameters: Record<string, unknown> } {
  const { json, rest } = splitBody(body, headerLength);
  const { outputs, parameters = {} } = checked(responseSchema, json, 'response');
  return { outputs: new Map(takeTensors(outputs, rest).map((tensor) => [tensor.name, tensor])), parameters };
}

function announced({ name, datatype, shape, data }: WireTensor) {
  return { name, datatype, shape, parameters: { binary_data_size: data.byteLength } };
}

function joinBody(json: object, binary: readonly WireTensor[]): Encoded {
  const header = Buffer.from(JSON.stringify(json));
  const parts = [header, ...binary.map(({ data }) => data)];
  return {
    parts,
    bytes: parts.reduce((sum, { byteLength }) => sum + byteLength, 0),
    headerLength: binary.length > 0 ? header.byteLength : undefined,
  };
}

function splitBody(body: Uint8Array, headerLength = body.byteLength): { json: unknown; rest: Uint8Array } {
  if (headerLength > body.byteLength)
    throw new ProtocolError(
      `Inference-Header-Content-Length says ${headerLength} bytes of JSON, and the body has ${body.byteLength}.`,
    );
  const text = Buffer.from(body.buffer, body.byteOffset, headerLength).toString('utf8');
  try {
    return { json: JSON.parse(text) as unknown, rest: body.subarray(headerLength) };
  } catch {
    throw new ProtocolError('The body does not begin with JSON.');
  }
}

/** Gives each tensor its data: that of the JSON, or the next bytes after it. All bytes have to be taken. */
function takeTensors(described: readonly z.infer<typeof tensorSchema>[], rest: Uint8Array): WireTensor[] {
  let at = 0;
  const tensors = described.map(({ name, datatype, shape, parameters, data }): WireTensor => {
    const size = parameters?.binary_data_size;
    if (size === undefined) return fromJson({ name, datatype, shape }, data);
    if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0)
      throw new ProtocolError(`The binary_data_size of tensor "${name}" has to be a whole number from 0 on.`);
    if (data !== undefined) throw new ProtocolError(`Tensor "${name}" has its data twice, in the JSON and as binary.`);
    if (at + size > rest.byteLength)
      throw new ProtocolError(
        `The binary data of tensor "${name}" goes beyond the body: ${size} bytes, and ${rest.byteLength - at} are left.`,
      );
    const tensor = { name, datatype, shape, data: rest.subarray(at, at + size) };
    checkSize(tensor);
    at += size;
    return tensor;
  });
  if (at !== rest.byteLength)
    throw new ProtocolError(`The body has ${rest.byteLength - at} bytes of binary data that belong to no tensor.`);
  return tensors;
}

function checked<T>(schema: z.ZodType<T>, json: unknown, what: string): T {
  const result = schema.safeParse(json);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const where = issue?.path.map(String).join('.') ?? '';
  throw new ProtocolError(`The ${what} is not of the protocol${where === '' ? '' : ` at ${where}`}.`);
}

function flag(value: unknown, name: string): boolean | undefined {
  if (value === undefined || typeof value === 'boolean') return value;
  throw new ProtocolError(`The parameter ${name} is true or false.`);
}

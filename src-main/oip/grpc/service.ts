/** The protocol's gRPC service, as @grpc/grpc-js takes it: messages travel through it as they are encoded. */
import type { ServiceDefinition } from '@grpc/grpc-js';
import { GRPCInferenceService } from './grpc_predict_v2_pb.ts';

const asBuffer = ({ buffer, byteOffset, byteLength }: Uint8Array): Buffer =>
  Buffer.from(buffer, byteOffset, byteLength);

/** Its methods by name; requests and answers are bytes, which whoever gets them decodes. */
export const rawService: ServiceDefinition = Object.fromEntries(
  GRPCInferenceService.methods.map(({ name }) => [
    name,
    {
      path: `/${GRPCInferenceService.typeName}/${name}`,
      requestStream: false,
      responseStream: false,
      requestSerialize: asBuffer,
      requestDeserialize: (bytes: Buffer) => bytes,
      responseSerialize: asBuffer,
      responseDeserialize: (bytes: Buffer) => bytes,
    },
  ]),
);

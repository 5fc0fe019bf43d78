/** What is answered over gRPC: the same models, queue and limits as over HTTP. */
import { fromJson, toBinary, type DescMessage, type JsonObject } from '@bufbuild/protobuf';
import {
  ModelConfigRequestSchema,
  ModelConfigResponseSchema,
  ModelMetadataRequestSchema,
  ModelMetadataResponseSchema,
  ModelReadyRequestSchema,
  ModelReadyResponseSchema,
  ModelStatisticsRequestSchema,
  ModelStatisticsResponseSchema,
  RepositoryIndexResponseSchema,
  ServerLiveResponseSchema,
  ServerMetadataResponseSchema,
  ServerReadyResponseSchema,
} from '../../oip/grpc/grpc_predict_v2_pb.ts';
import { decode, decodeInferRequest, encodeInferResponse } from '../../oip/grpc/messages.ts';
import { ProtocolError } from '../../oip/protocol-error.ts';
import type { BodyRoom } from './read-body.ts';
import type { ServedModels } from './served-models.ts';
import { add } from './statistics.ts';

/** Bytes of a request that asks about something and brings no tensors. */
const MOST_ASKED = 64 * 1024;

/** Answers a request of a method, both encoded. @throws ProtocolError, HttpError; anything else is a defect */
export type GrpcAnswer = (request: Uint8Array, signal: AbortSignal) => Promise<Uint8Array> | Uint8Array;

/** By the names of the service's methods. */
export function grpcAnswers(models: ServedModels, room: BodyRoom): Record<string, GrpcAnswer> {
  const named = ({ name, version }: { name: string; version: string }) =>
    models.find(name, version === '' ? undefined : version);
  return {
    ServerLive: () => message(ServerLiveResponseSchema, { live: true }),
    ServerReady: () => message(ServerReadyResponseSchema, { ready: models.isReady }),
    ServerMetadata: () => message(ServerMetadataResponseSchema, models.metadata()),
    RepositoryIndex: () => message(RepositoryIndexResponseSchema, { models: models.index() }),
    ModelReady: (request) => {
      named(asked(ModelReadyRequestSchema, request));
      return message(ModelReadyResponseSchema, { ready: models.isReady });
    },
    ModelMetadata: (request) =>
      message(ModelMetadataResponseSchema, named(asked(ModelMetadataRequestSchema, request)).metadata()),
    ModelConfig: (request) =>
      message(ModelConfigResponseSchema, { config: named(asked(ModelConfigRequestSchema, request)).config() }),
    ModelStatistics: (request) => {
      const which = asked(ModelStatisticsRequestSchema, request);
      return message(ModelStatisticsResponseSchema, models.statistics(which.name === '' ? models.all : [named(which)]));
    },
    ModelInfer: (bytes, signal) =>
      room.holding(bytes.byteLength, async () => {
        const { model: name, version, request } = decodeInferRequest(bytes);
        const model = models.find(name, version);
        const { statistics } = model;
        statistics.bytesReceived += bytes.byteLength;
        return models.counted(model, async () => {
          const response = await model.infer(request, signal);
          const inferred = performance.now();
          const answer = encodeInferResponse(response);
          add(statistics.computeOutput, performance.now() - inferred);
          statistics.bytesSent += answer.byteLength;
          return answer;
        });
      }),
  };
}

function asked<T extends DescMessage>(schema: T, request: Uint8Array) {
  if (request.byteLength > MOST_ASKED) throw new ProtocolError(`This request may have ${MOST_ASKED} bytes.`);
  return decode(schema, request);
}

/** In protobuf what HTTP answers in JSON: fields have the same names. */
function message(schema: DescMessage, json: object): Uint8Array {
  return toBinary(schema, fromJson(schema, json as JsonObject));
}

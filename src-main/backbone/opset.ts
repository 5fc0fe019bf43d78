import type { ModelProto } from '../engine/onnx/onnx_pb.ts';

/** Version of ONNX's own operators that a model is written for; 0 when it does not say. */
export function opsetOf(model: ModelProto): number {
  return Number(model.opsetImport.find(({ domain }) => domain === '' || domain === 'ai.onnx')?.version ?? 0);
}

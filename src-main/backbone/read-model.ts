import { Failure } from '../base/failure.ts';
import { decodeModel } from '../engine/onnx/model.ts';
import { TensorProto_DataLocation } from '../engine/onnx/onnx_pb.ts';
import type { ModelProto } from '../engine/onnx/onnx_pb.ts';
import { inOrder } from './in-order.ts';
import { withoutSkipNorms } from './unfuse.ts';

/**
 * Decodes an ONNX file; `file` names it in failures. The weights share memory with `bytes`.
 * Failure `backbone-not-onnx` for anything else or a file cut short, `backbone-external-data` for weights kept beside.
 */
export function parseModel(bytes: Uint8Array, file: string): ModelProto {
  const notOnnx = `"${file}" is no ONNX model, or is cut short: give the .onnx file of a Vision Transformer.`;
  let model: ModelProto;
  try {
    model = decodeModel(bytes);
  } catch (error) {
    throw new Failure('backbone-not-onnx', notOnnx, { cause: error });
  }
  if (!model.graph || model.graph.node.length === 0 || model.opsetImport.length === 0) {
    throw new Failure('backbone-not-onnx', notOnnx);
  }
  if (model.graph.initializer.some((tensor) => tensor.dataLocation === TensorProto_DataLocation.EXTERNAL)) {
    throw new Failure(
      'backbone-external-data',
      `"${file}" keeps its weights in another file beside it; save it again as one .onnx file with the weights inside.`,
    );
  }
  return withoutSkipNorms(inOrder(model));
}

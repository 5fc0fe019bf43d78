import { readFile, stat } from 'node:fs/promises';
import { Failure } from '../base/failure.ts';
import { decodeModel, encodeModel } from '../engine/onnx/model.ts';
import type { ModelProto } from '../engine/onnx/onnx_pb.ts';
import { errorCode } from '../workspace/atomic.ts';
import { externalTensors, loadExternalData } from './external-data.ts';
import { inOrder } from './in-order.ts';
import { withoutSkipNorms } from './unfuse.ts';

/** An ONNX file that needs no other. */
export interface OnnxFile {
  /** Those of the file, or of one that holds the weights as well that it keeps beside itself. */
  bytes: Uint8Array;
  model: ModelProto;
}

/**
 * Reads an ONNX file, with the weights that it keeps beside itself.
 * Failures `missing-file`, `backbone-not-onnx` and `backbone-external-data`.
 */
export async function readOnnxFile(path: string): Promise<OnnxFile> {
  const bytes = await readModelFile(path);
  const model = decode(bytes, path);
  if (externalTensors(model).length === 0) return { bytes, model: prepared(model) };
  await loadExternalData(model, path);
  return { bytes: encodeModel(model), model: prepared(model) };
}

/** Failure `missing-file` where there is no file to be read. */
export async function readModelFile(path: string): Promise<Uint8Array> {
  try {
    const status = await stat(path);
    // Reading a device would not end.
    if (!status.isFile() && !status.isDirectory()) throw Object.assign(new Error('a device'), { code: 'ENODEV' });
    return await readFile(path);
  } catch (error) {
    const why: Readonly<Record<string, string>> = {
      ENOENT: 'does not exist',
      EISDIR: 'is a folder',
      ENODEV: 'is a pipe, socket or device',
      ERR_FS_FILE_TOO_LARGE: 'is larger than 2 GB, which no ONNX file may be',
    };
    throw new Failure(
      'missing-file',
      `"${path}" ${why[errorCode(error)] ?? 'cannot be read'}: give the path of a ViT's .onnx file.`,
      { cause: error },
    );
  }
}

/**
 * Decodes an ONNX file that needs no other; `file` names it in failures. The weights share memory with `bytes`.
 * Failure `backbone-not-onnx` for anything else or a file cut short, `backbone-external-data` for weights kept beside.
 */
export function parseModel(bytes: Uint8Array, file: string): ModelProto {
  const model = decode(bytes, file);
  if (externalTensors(model).length > 0) {
    throw new Failure(
      'backbone-external-data',
      `"${file}" keeps its weights in another file beside it; save it again as one .onnx file with the weights inside.`,
    );
  }
  return prepared(model);
}

/** In an order and of nodes that the rest can rely on; what it computes stays as it is. */
const prepared = (model: ModelProto): ModelProto => withoutSkipNorms(inOrder(model));

function decode(bytes: Uint8Array, file: string): ModelProto {
  const known = knownKind(bytes);
  const notOnnx = known
    ? `"${file}" ${known}.`
    : `"${file}" is no ONNX model, or is cut short: give the .onnx file of a Vision Transformer.`;
  let model: ModelProto;
  try {
    model = decodeModel(bytes);
  } catch (error) {
    throw new Failure('backbone-not-onnx', notOnnx, { cause: error });
  }
  if (!model.graph || model.graph.node.length === 0 || model.opsetImport.length === 0) {
    throw new Failure('backbone-not-onnx', notOnnx);
  }
  return model;
}

const EXPORT = 'export the model to ONNX first';

/** What files that are given in place of an ONNX model mostly are. */
function knownKind(bytes: Uint8Array): string | undefined {
  if (bytes.length === 0) return 'is empty: copy or export it again';
  const start = new TextDecoder('latin1').decode(bytes.subarray(0, 200));
  if (start.startsWith('version https://git-lfs'))
    return 'is a Git LFS pointer and not the model itself: fetch it with "git lfs pull"';
  if (start.startsWith('PK\u0003\u0004') || start.startsWith('\u0080\u0002'))
    return `is a PyTorch checkpoint or a zip file, not an ONNX model: ${EXPORT}`;
  if (start.slice(8).startsWith('{"')) return `is a safetensors file, not an ONNX model: ${EXPORT}`;
  if (start.startsWith('\u0089HDF')) return `is a Keras or HDF5 file, not an ONNX model: ${EXPORT}`;
  if (start.slice(4).startsWith('TFL3')) return `is a TensorFlow Lite model, not an ONNX model: ${EXPORT}`;
  if (/^[\t\n\r -~]+$/.test(start)) return "is a text file, not an ONNX model: give the path of a ViT's .onnx file";
  return undefined;
}

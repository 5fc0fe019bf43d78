/** Weights that a model keeps in files beside it (`model.onnx_data`), as exporters do from 2 GB on and some always. */
import { open, type FileHandle } from 'node:fs/promises';
import { basename, join, normalize } from 'node:path';
import { Failure } from '../base/failure.ts';
import { TensorProto_DataLocation as DataLocation } from '../engine/onnx/onnx_pb.ts';
import type { GraphProto, ModelProto, TensorProto } from '../engine/onnx/onnx_pb.ts';
import { errorCode } from '../workspace/atomic.ts';

/** A protobuf ends at 2 GiB; some room is left for the graph itself. */
const MOST_BYTES = 2 ** 31 - 2 ** 25;

/** The tensors of a model whose numbers lie elsewhere, those in Constant nodes and subgraphs included. */
export function externalTensors(model: ModelProto): TensorProto[] {
  return (model.graph ? tensorsOf(model.graph) : []).filter(
    ({ dataLocation }) => dataLocation === DataLocation.EXTERNAL,
  );
}

function tensorsOf(graph: GraphProto): TensorProto[] {
  const inNodes = graph.node.flatMap(({ attribute }) =>
    attribute.flatMap(({ t, tensors, g, graphs }) => [
      ...(t ? [t] : []),
      ...tensors,
      ...(g ? [g, ...graphs] : graphs).flatMap(tensorsOf),
    ]),
  );
  return [...graph.initializer, ...inNodes];
}

/**
 * Reads the numbers of all external tensors into the model itself.
 * @param file path of the model, beside which they lie
 * Failure `backbone-external-data` when a file of them is missing, cut short or not beside the model, or when all
 * together are too large for one file.
 */
export async function loadExternalData(model: ModelProto, file: string): Promise<void> {
  const handles = new Map<string, FileHandle>();
  let total = 0;
  try {
    for (const tensor of externalTensors(model)) {
      const { location, offset, length } = whereIs(tensor, file);
      const handle = handles.get(location) ?? (await openBeside(file, location));
      handles.set(location, handle);
      const { size } = await handle.stat();
      const bytes = length ?? size - offset;
      if (bytes < 0 || offset + bytes > size)
        throw refused(
          `"${join(file, '..', location)}" ends after ${size} bytes and before the weights of "${tensor.name}": it is cut short or of another model, so copy it again.`,
        );
      total += bytes;
      if (total > MOST_BYTES)
        throw refused(
          `"${file}" has more than 2 GB of weights, and a backbone is one file of less: export it in half precision.`,
        );
      tensor.rawData = new Uint8Array(bytes);
      await handle.read(tensor.rawData, 0, bytes, offset);
      tensor.dataLocation = DataLocation.DEFAULT;
      tensor.externalData = [];
    }
  } finally {
    await Promise.all([...handles.values()].map((handle) => handle.close()));
  }
}

function whereIs(tensor: TensorProto, file: string): { location: string; offset: number; length?: number } {
  const entries = new Map(tensor.externalData.map(({ key, value }) => [key, value]));
  const location = normalize(entries.get('location') ?? '');
  const length = entries.get('length');
  if (/^(\.\.|\.$|\/|[a-z]:|\\)/i.test(location))
    throw refused(`"${file}" names "${location}" for its weights, which is not beside it: save it again as one file.`);
  return { location, offset: Number(entries.get('offset') ?? 0), length: length ? Number(length) : undefined };
}

async function openBeside(file: string, location: string): Promise<FileHandle> {
  try {
    return await open(join(file, '..', location));
  } catch (error) {
    const what = errorCode(error) === 'ENOENT' ? 'is not there' : 'cannot be read';
    throw refused(
      `"${basename(file)}" keeps its weights in "${location}", which was looked for beside it and ${what} (${join(file, '..', location)}): put the two in one folder.`,
    );
  }
}

const refused = (sentence: string): Failure => new Failure('backbone-external-data', sentence);

/** The backbone that comes with the program, so that something can be tried before a ViT has been found. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Failure } from '../base/failure.ts';
import type { ModelProto } from '../engine/onnx/onnx_pb.ts';
import { parseModel } from './read-model.ts';

/** Its name in every workspace that has no backbone of its own by this name. */
export const EMBEDDED_BACKBONE = 'shapes-vit-64';

/**
 * Its ONNX file, in `resources` beside the sources and beside `dist`; an application that keeps its resources elsewhere
 * says where in SIDETUNE_RESOURCES.
 */
export function embeddedFile(): string {
  const folder = process.env.SIDETUNE_RESOURCES ?? fileURLToPath(new URL('../../resources', import.meta.url));
  return join(folder, 'backbone', 'shapes_vit_64.onnx');
}

/** Failure `missing-file` where the installation lacks it. */
export async function readEmbedded(): Promise<ModelProto> {
  const file = embeddedFile();
  try {
    return parseModel(await readFile(file), file);
  } catch (error) {
    if (error instanceof Failure) throw error;
    const words = `The embedded backbone "${file}" cannot be read: install the program again.`;
    throw new Failure('missing-file', words, { cause: error });
  }
}

/** What it was made from, as its pretraining wrote into the file; undefined of a file that does not say. */
export function aboutEmbedded(model: ModelProto): string | undefined {
  const made = model.metadataProps.find(({ key }) => key === 'weights')?.value;
  return made && `${made}; it is for trying things out and has never seen a photograph`;
}

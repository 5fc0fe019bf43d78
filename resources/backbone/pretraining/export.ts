/** Pretrained parameters as the ONNX file that is shipped. */
import { writePlainVit } from '../../../src-main/backbone/plain-vit.ts';
import type { ParameterLayout } from '../../../src-main/training/parameters.ts';
import type { VitShape } from './vit.ts';

/**
 * The ViT without its heads, as `writePlainVit` writes it.
 * @param pictures seen in pretraining, noted in the file's metadata
 */
export function pretrainedModel(
  shape: VitShape,
  layout: ParameterLayout,
  parameters: Float32Array,
  { pictures }: { pictures: number },
): Uint8Array {
  const { size, patch, width, blocks, heads } = shape;
  const trained = layout.views(parameters);
  const description = `pretrained on ${pictures.toLocaleString('en')} generated pictures of shapes`;
  const of = (name: string): Float32Array => {
    if (/norm\d?\.scale$/.test(name)) return new Float32Array(width).fill(1);
    if (/norm\d?\.bias$/.test(name)) return new Float32Array(width);
    if (name === 'patch.weight') return transposed(trained[name]!, 3 * patch * patch, width);
    return trained[name]!;
  };
  return writePlainVit({ size, patch, width, blocks, heads, weights: { of, description } });
}

/** [rows, columns] to [columns, rows]. */
function transposed(matrix: Float32Array, rows: number, columns: number): Float32Array {
  return Float32Array.from(
    { length: matrix.length },
    (_, at) => matrix[(at % rows) * columns + Math.floor(at / rows)]!,
  );
}

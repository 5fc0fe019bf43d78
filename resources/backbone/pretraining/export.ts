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
  const weights = new Map(Object.entries(layout.views(parameters)));
  weights.set('patch.weight', transposed(weights.get('patch.weight')!, 3 * patch * patch, width));
  for (const norm of [...norms(blocks), 'norm']) {
    weights.set(`${norm}.scale`, new Float32Array(width).fill(1));
    weights.set(`${norm}.bias`, new Float32Array(width));
  }
  const description = `pretrained on ${pictures} generated pictures of shapes`;
  return writePlainVit({ size, patch, width, blocks, heads, weights: { values: weights, description } });
}

function norms(blocks: number): string[] {
  return Array.from({ length: blocks }, (_, block) => [`block${block}.norm1`, `block${block}.norm2`]).flat();
}

/** [rows, columns] to [columns, rows]. */
function transposed(matrix: Float32Array, rows: number, columns: number): Float32Array {
  return Float32Array.from(
    { length: matrix.length },
    (_, at) => matrix[(at % rows) * columns + Math.floor(at / rows)]!,
  );
}

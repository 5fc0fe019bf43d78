import { z } from 'zod';
import { Failure } from '../../base/failure.ts';
import { spaceFileSchema, type SpaceFile } from '../../sweep/read-space.ts';
import { METHODS, type Method } from '../../training/settings.ts';

/**
 * What is tried for a method: eight settings each, so that none is favoured by more looks at val. Learning rate and
 * pooling matter most, then where MIET's sum ends and whether LAST's head starts from a linear probe.
 */
export function declaredGrid(method: Method, { blocks, prefix }: { blocks: number; prefix: number }): SpaceFile {
  const pool = prefix > 0 ? ['cls', 'mean'] : ['mean'];
  switch (method) {
    case 'linear':
      return { pool, learningRate: [3e-4, 1e-3, 3e-3, 1e-2] };
    case 'last':
      return { pool, learningRate: [1e-3, 3e-3], warmStart: ['none', 'linear'] };
    case 'miet':
      return { pool, learningRate: [1e-3, 3e-3], upto: uptos(blocks) };
  }
}

/**
 * Two thirds of the blocks, and all: near the pretraining it is the last ones that hold the answer (ViT-Ti, best on val
 * of k = 8 and 12: Caltech objects 62.5 and 88.5 %, garments 82.5 and 86.0 %), far from it the middle ones.
 */
function uptos(blocks: number): number[] {
  return [...new Set([Math.max(1, Math.round((2 * blocks) / 3)), blocks])];
}

/** A grid for some methods, in place of the declared ones. */
const gridsSchema = z.partialRecord(z.enum(METHODS), spaceFileSchema);
export type Grids = z.infer<typeof gridsSchema>;

/** @param file parsed JSON @throws Failure `usage` where it is not a space for each of some methods */
export function readGrids(file: unknown): Grids {
  const parsed = gridsSchema.safeParse(file);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const where = issue?.code === 'unrecognized_keys' ? issue.keys[0] : issue?.path.join('.');
  throw new Failure(
    'usage',
    `The grids cannot be used${where ? `, because of "${where}"` : ''}: give a space for each method, such as {"last": {"lr": [1e-3, 3e-3]}, "linear": {"pool": ["cls", "mean"]}}.`,
  );
}

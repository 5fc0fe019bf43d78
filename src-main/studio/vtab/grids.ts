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

/** Two thirds and five sixths of the blocks: 8 and 10 of 12. */
function uptos(blocks: number): number[] {
  return [...new Set([(2 * blocks) / 3, (5 * blocks) / 6].map((upto) => Math.max(1, Math.round(upto))))];
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

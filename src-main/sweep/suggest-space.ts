import type { Method } from '../training/settings.ts';
import type { SpaceFile } from './read-space.ts';

/**
 * A space worth searching: what matters most first, in the ranges in which settings of published runs lie, and wide
 * enough around them that the best is seldom at an end.
 */
export function suggestSpace(methods: readonly Method[]): SpaceFile {
  const side = methods.some((method) => method !== 'linear');
  return {
    method: [...methods],
    learningRate: { min: 3e-4, max: 3e-2, scale: 'log' },
    ...(side ? { rank: [4, 8, 16], dropPath: [0, 0.1, 0.2] } : {}),
    labelSmoothing: [0, 0.1],
    weightDecay: { min: 1e-4, max: 1e-1, scale: 'log' },
  };
}

import type { Settings } from './settings.ts';

/**
 * Equal for settings that can be trained as lanes: one graph serves them, and they read the same images in the same
 * order. The rest of the settings are fed to the graph: learning rates, weight decay, drop-path, label smoothing, class
 * weights and the number of epochs. The seed decides the order of images, so lanes have the same one.
 */
export function laneKey({
  method,
  pool,
  rank,
  depth,
  group,
  upto,
  batch,
  seed,
  views,
  limit,
  cache,
}: Settings): string {
  return JSON.stringify([method, pool, rank, depth, group, upto, batch, seed, views, limit, cache]);
}

import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';
import { uniformInt } from 'pure-rand/distribution/uniformInt';

/**
 * At most `limit` images, with every class's share kept as near as whole images allow and one of each class while there
 * is room: seeded, in the order given.
 */
export function stratifiedSubset<T extends { label: number }>(images: readonly T[], limit: number, seed: number): T[] {
  if (limit >= images.length) return [...images];
  const random = xoroshiro128plus(seed);
  const order = images.map((_, index) => index);
  for (let last = order.length - 1; last > 0; last--) {
    const other = uniformInt(random, 0, last);
    [order[last], order[other]] = [order[other]!, order[last]!];
  }
  // The i-th image drawn of a class of n stands at (i + 1/2) / n; the first `limit` of all by that place are taken.
  const sizes = new Map<number, number>();
  for (const { label } of images) sizes.set(label, (sizes.get(label) ?? 0) + 1);
  const drawn = new Map<number, number>();
  const places = order.map((index) => {
    const { label } = images[index]!;
    const count = drawn.get(label) ?? 0;
    drawn.set(label, count + 1);
    return { index, first: count === 0, place: (count + 0.5) / sizes.get(label)! };
  });
  places.sort((a, b) => Number(b.first) - Number(a.first) || a.place - b.place || a.index - b.index);
  const kept = new Set(places.slice(0, limit).map(({ index }) => index));
  return images.filter((_, index) => kept.has(index));
}

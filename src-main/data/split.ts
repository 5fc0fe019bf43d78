import { uniformInt } from 'pure-rand/distribution/uniformInt';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';

/** What decides where an image goes. */
export interface Dealt {
  label: number;
  /** Images with equal contents share it, and stay together. */
  sha256: string;
}

/**
 * Deals images into train and val, class by class, so that about `valFraction` of each class goes to val: seeded, the
 * same for the same images in the same order. Each class with two different images of its own has one in
 * both. A content goes to one split whole, be it in several classes: the first of them decides.
 * @returns for each image, where it goes
 */
export function stratifiedSplit(images: readonly Dealt[], valFraction: number, seed: number): ('train' | 'val')[] {
  const random = xoroshiro128plus(seed);
  const places = new Map<string, 'train' | 'val'>();
  const byClass = groupBy(images, ({ label }) => label);
  for (const label of [...byClass.keys()].sort((a, b) => a - b)) {
    const members = byClass.get(label)!;
    const groups = [...groupBy(members, ({ sha256 }) => sha256)];
    for (let last = groups.length - 1; last > 0; last--) {
      const other = uniformInt(random, 0, last);
      [groups[last], groups[other]] = [groups[other]!, groups[last]!];
    }
    const wanted = Math.max(1, Math.round(members.length * valFraction));
    let dealt = members.filter(({ sha256 }) => places.get(sha256) === 'val').length;
    let trained = groups.some(([sha256]) => places.get(sha256) === 'train');
    for (const [sha256, group] of groups) {
      if (places.has(sha256)) continue;
      const split = trained && dealt < wanted ? 'val' : 'train';
      places.set(sha256, split);
      if (split === 'val') dealt += group.length;
      else trained = true;
    }
  }
  return images.map(({ sha256 }) => places.get(sha256)!);
}

function groupBy<T, K>(items: Iterable<T>, keyOf: (item: T) => K): Map<K, T[]> {
  const groups = new Map<K, T[]>();
  for (const item of items) {
    const group = groups.get(keyOf(item));
    if (group) group.push(item);
    else groups.set(keyOf(item), [item]);
  }
  return groups;
}

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
 * same for the same images in the same order. Each class with two different images has one in both.
 * @returns for each image, where it goes
 */
export function stratifiedSplit(images: readonly Dealt[], valFraction: number, seed: number): ('train' | 'val')[] {
  const random = xoroshiro128plus(seed);
  const result = images.map((): 'train' | 'val' => 'train');
  const byClass = groupBy(images.keys(), (index) => images[index]!.label);
  for (const label of [...byClass.keys()].sort((a, b) => a - b)) {
    const members = byClass.get(label)!;
    const groups = [...groupBy(members, (index) => images[index]!.sha256).values()];
    for (let last = groups.length - 1; last > 0; last--) {
      const other = uniformInt(random, 0, last);
      [groups[last], groups[other]] = [groups[other]!, groups[last]!];
    }
    const wanted = Math.max(1, Math.round(members.length * valFraction));
    let dealt = 0;
    for (const group of groups.slice(1)) {
      if (dealt >= wanted) break;
      for (const index of group) result[index] = 'val';
      dealt += group.length;
    }
  }
  return result;
}

function groupBy<K>(indices: Iterable<number>, keyOf: (index: number) => K): Map<K, number[]> {
  const groups = new Map<K, number[]>();
  for (const index of indices) {
    const group = groups.get(keyOf(index));
    if (group) group.push(index);
    else groups.set(keyOf(index), [index]);
  }
  return groups;
}

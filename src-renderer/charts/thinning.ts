/** Every other one of a list that has grown too long, the first and the newest always among them. */
export function thinned<T>(list: readonly T[]): T[] {
  return list.filter((_, index) => index % 2 === 0 || index === list.length - 1);
}

/** Place of the point whose x is nearest, in a list that rises by x; -1 where it is empty. */
export function nearest(points: readonly { x: number }[], x: number): number {
  let [low, high] = [0, points.length - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (points[middle]!.x < x) low = middle + 1;
    else high = middle;
  }
  if (low > 0 && x - points[low - 1]!.x < points[low]!.x - x) return low - 1;
  return points.length === 0 ? -1 : low;
}

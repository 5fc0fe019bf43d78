/** A trial in the plane of what it costs and what it gives. */
export interface Placed {
  x: number;
  y: number;
}

/** Those that no other beats: none costs less or as much and gives more. From the cheapest on. */
export function paretoFront<T extends Placed>(points: readonly T[]): T[] {
  const front: T[] = [];
  for (const point of [...points].sort((a, b) => a.x - b.x || b.y - a.y)) {
    const last = front.at(-1);
    if (!last || point.y > last.y) front.push(point);
  }
  return front;
}

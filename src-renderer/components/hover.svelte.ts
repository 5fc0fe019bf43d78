/** Which x the pointer is at, and in which chart: the others mark the same place. */
class Hovered {
  source = $state<string | null>(null);
  x = $state<number | null>(null);

  at(source: string, x: number | null): void {
    if (this.source === source && this.x === x) return;
    this.source = source;
    this.x = x;
  }
}

export const hovered = new Hovered();

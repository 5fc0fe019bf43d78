/** Which x is pointed at, and in which chart (null: by keyboard): all mark the same place. */
class Hovered {
  source = $state<string | null>(null);
  x = $state<number | null>(null);

  at(source: string | null, x: number | null): void {
    if (this.source === source && this.x === x) return;
    this.source = source;
    this.x = x;
  }
}

export const hovered = new Hovered();

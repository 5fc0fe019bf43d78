/** One line of a chart; gaps are null. */
export interface Series {
  name: string;
  points: { x: number; y: number | null }[];
  /** A CSS variable, such as `--val`; one of the palette when left out. */
  colour?: string;
}

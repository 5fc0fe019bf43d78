/** One line of a chart; gaps are null. Points rise by x. */
export interface Series {
  name: string;
  points: { x: number; y: number | null }[];
  /** A CSS variable, such as `--val`; one of the palette when left out. */
  colour?: string;
  /** For what was not measured but is to be compared with. */
  dashed?: boolean;
}

/** A line of one value from one end of a chart to the other. */
export function level(name: string, value: number | null | undefined, xMax: number): Series[] {
  if (value == null) return [];
  return [
    {
      name,
      dashed: true,
      points: [
        { x: 0, y: value },
        { x: xMax, y: value },
      ],
    },
  ];
}

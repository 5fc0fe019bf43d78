/** `confusion[i][j]` images of class i were taken for class j. */
export type Confusion = readonly (readonly number[])[];

/** At most so many classes, in their order: those with the most mistakes, made and suffered. */
export function troubledClasses(confusion: Confusion, most: number): number[] {
  const all = confusion.map((_, index) => index);
  if (all.length <= most) return all;
  const mistakes = all.map((one) =>
    all.reduce((sum, other) => (other === one ? sum : sum + confusion[one]![other]! + confusion[other]![one]!), 0),
  );
  return all
    .toSorted((a, b) => mistakes[b]! - mistakes[a]!)
    .slice(0, most)
    .sort((a, b) => a - b);
}

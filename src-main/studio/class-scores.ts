/** What a confusion matrix says, class by class. `confusion[i][j]` images of class i were taken for class j. */

export type Confusion = readonly (readonly number[])[];

/** Fractions 0 to 1. */
export interface ClassScore {
  class: string;
  images: number;
  precision: number;
  recall: number;
  f1: number;
}

/** Means over the classes that have images, each class counting the same. */
export type MacroAverages = Pick<ClassScore, 'precision' | 'recall' | 'f1'>;

/** Images of one class that were taken for another. */
export interface ConfusedPair {
  class: string;
  takenFor: string;
  count: number;
  /** All images of the class. */
  images: number;
}

/** Precision, recall and F1 of each class; 0 where there is nothing to divide by, as scikit-learn does. */
export function classScores(confusion: Confusion, classes: readonly string[]): ClassScore[] {
  return classes.map((name, index) => {
    const hits = confusion[index]![index]!;
    const images = total(confusion[index]!);
    const predicted = confusion.reduce((sum, row) => sum + row[index]!, 0);
    const precision = predicted > 0 ? hits / predicted : 0;
    const recall = images > 0 ? hits / images : 0;
    const f1 = precision + recall > 0 ? (2 * precision * recall) / (precision + recall) : 0;
    return { class: name, images, precision, recall, f1 };
  });
}

export function macroAverages(scores: readonly ClassScore[]): MacroAverages {
  const seen = scores.filter(({ images }) => images > 0);
  const mean = (of: keyof MacroAverages) => seen.reduce((sum, score) => sum + score[of], 0) / seen.length;
  return { precision: mean('precision'), recall: mean('recall'), f1: mean('f1') };
}

/** The pairs with the most images, most first, at most `limit`. */
export function mostConfused(confusion: Confusion, classes: readonly string[], limit: number): ConfusedPair[] {
  const pairs = confusion.flatMap((row, from) =>
    row.flatMap((count, to): ConfusedPair[] =>
      from !== to && count > 0 ? [{ class: classes[from]!, takenFor: classes[to]!, count, images: total(row) }] : [],
    ),
  );
  return pairs.sort((a, b) => b.count - a.count || b.count / b.images - a.count / a.images).slice(0, limit);
}

function total(row: readonly number[]): number {
  return row.reduce((sum, count) => sum + count, 0);
}

/** 1 for every class, or images / (classes * images of the class), scikit-learn's "balanced". [classes] */
export function classWeights(kind: 'none' | 'balanced', labels: readonly number[], classes: number): Float32Array {
  const weights = new Float32Array(classes).fill(1);
  if (kind === 'none') return weights;
  const counts = new Float64Array(classes);
  for (const label of labels) counts[label]!++;
  return weights.map((_, index) => (counts[index] ? labels.length / (classes * counts[index]) : 0));
}

/** Predictions in words and tables. */
import type { Prediction, Predictions } from '../studio/contract.ts';
import { counted, grouped, percent, table } from './format.ts';

/** What `predict` says: a line an image, or where they were written, and for several how many of each class. */
export function describePredictions({ predictions, out }: Predictions): string {
  const parts = [out === undefined ? predictionTable(predictions) : `Wrote ${out}`];
  if (predictions.length > 1) parts.push(summary(predictions));
  return parts.join('\n\n');
}

function predictionTable(predictions: readonly Prediction[]): string {
  return table(
    ['IMAGE', 'LABEL', 'PROBABILITY>', 'NEXT'],
    predictions.map((prediction) => {
      if ('error' in prediction) return [prediction.image, '-', '-', 'could not be read'];
      const [first, second] = prediction.top;
      const next = second ? `${second.label} ${percent(second.probability)}` : '';
      return [prediction.image, prediction.label, percent(first?.probability), next];
    }),
  );
}

function summary(predictions: readonly Prediction[]): string {
  const counts = new Map<string, number>();
  let unread = 0;
  for (const prediction of predictions) {
    if ('error' in prediction) unread++;
    else counts.set(prediction.label, (counts.get(prediction.label) ?? 0) + 1);
  }
  const classes = [...counts].sort(([, a], [, b]) => b - a).map(([label, count]) => `${label} ${grouped(count)}`);
  if (unread > 0) classes.push(`could not be read ${grouped(unread)}`);
  return `${counted(predictions.length, 'image')}: ${classes.join(', ')}`;
}

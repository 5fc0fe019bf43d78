/** An evaluation in words and tables. */
import { mostConfused } from '../studio/class-scores.ts';
import type { Evaluation } from '../studio/contract.ts';
import { counted, grouped, percent, table } from './format.ts';

/** With more classes than this, only the worst are listed; --json has them all. */
const LISTED_CLASSES = 20;
const WORST_CLASSES = 10;
/** With more, a confusion matrix is wider than a terminal. */
const CONFUSION_CLASSES = 12;
const CONFUSED_PAIRS = 5;

/** What `evaluate` says. */
export function describeEvaluation(evaluation: Evaluation): string {
  const { confusion, perClass, predictions } = evaluation;
  const parts = [summary(evaluation), classTable(evaluation)];
  if (confusion.length <= CONFUSION_CLASSES) {
    const headings = ['TRUE \\ PREDICTED', ...perClass.map((row) => `${row.class}>`)];
    parts.push(
      table(
        headings,
        confusion.map((row, index) => [perClass[index]?.class ?? '', ...row.map(grouped)]),
      ),
    );
  }
  parts.push(confusedPairs(evaluation));
  if (predictions !== undefined) parts.push(`Wrote ${predictions}`);
  return parts.filter((part) => part !== '').join('\n\n');
}

function summary({ run, split, images, epoch, top1, interval, averages, ece }: Evaluation): string {
  const { level, low, high } = interval;
  return [
    `${run} on ${split}, ${counted(images, 'image')}, with the parameters of epoch ${epoch}, the best on val`,
    `  top-1 ${percent(top1)} (${Math.round(100 * level)} % interval over images: ${percent(low)} to ${percent(high)})`,
    `  mean of the classes: precision ${percent(averages.precision)}, recall ${percent(averages.recall)}, F1 ${percent(averages.f1)}`,
    `  calibration error (ECE) ${percent(ece)}`,
  ].join('\n');
}

function classTable({ perClass }: Evaluation): string {
  const many = perClass.length > LISTED_CLASSES;
  const worst = perClass.filter(({ images }) => images > 0).toSorted((a, b) => a.f1 - b.f1);
  const shown = many ? worst.slice(0, WORST_CLASSES) : perClass;
  const rows = table(
    ['CLASS', 'IMAGES>', 'PRECISION>', 'RECALL>', 'F1>'],
    shown.map((row) => [row.class, grouped(row.images), ...[row.precision, row.recall, row.f1].map(percent)]),
  );
  return many ? `The ${shown.length} worst of ${perClass.length} classes by F1 (--json has all):\n${rows}` : rows;
}

function confusedPairs({ confusion, perClass }: Evaluation): string {
  const names = perClass.map((row) => row.class);
  const pairs = mostConfused(confusion, names, CONFUSED_PAIRS);
  if (pairs.length === 0) return '';
  const lines = pairs.map(
    ({ class: name, takenFor, count, images }) =>
      `  ${name} taken for ${takenFor}: ${grouped(count)} of ${counted(images, 'image')} (${percent(count / images)})`,
  );
  return ['Most confused:', ...lines].join('\n');
}

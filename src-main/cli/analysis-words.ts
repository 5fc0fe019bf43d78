/** Mistakes and attention in words and tables. */
import type { FileAttention, Mistakes } from '../studio/analysis/headless.ts';
import { counted, grouped, percent, table } from './format.ts';

/** What `runs mistakes` says: a line an image, the most confident first. */
export function describeMistakes({ run, split, images, total, mistakes }: Mistakes): string {
  const lead = `${run} got ${grouped(total)} of ${counted(images, 'image')} of ${split} wrong`;
  if (mistakes.length === 0) return `${lead}.`;
  const rows = table(
    ['IMAGE', 'LABEL', 'TAKEN FOR', 'CONFIDENCE>', 'OF ITS LABEL>'],
    mistakes.map(({ path, label, predicted, confidence, own }) => [
      ...[path, label, predicted, percent(confidence), percent(own)],
    ]),
  );
  return `${lead}; the ${grouped(mistakes.length)} that it was surest of:\n${rows}`;
}

/** What `runs attention` says: a line a module, with the patch that it looks at most. */
export function describeAttention({ image, label, probability, grid, modules, rollout, out }: FileAttention): string {
  const most = (patches: readonly number[]): string[] => {
    const largest = patches.indexOf(Math.max(...patches));
    const [row, column] = [Math.floor(largest / grid.columns) + 1, (largest % grid.columns) + 1];
    return [`row ${row}, column ${column}`, percent(patches[largest])];
  };
  const rows = modules.map(({ module, map, prefix, patches, increment }) => [
    ...[String(module + 1), map, increment.toPrecision(3), percent(prefix), ...most(patches)],
  ]);
  return [
    `${image}: ${label} (${percent(probability)}); attention over ${grid.rows} x ${grid.columns} patches`,
    table(
      ['MODULE', 'MAP', 'ADDS>', 'PREFIX TOKENS>', 'MOST ATTENTION', 'SHARE>'],
      [...rows, ['rollout', '-', '-', percent(rollout.prefix), ...most(rollout.patches)]],
    ),
    ...(out === undefined ? [] : [`Wrote ${out}: the picture, rollout, then each module`]),
  ].join('\n');
}

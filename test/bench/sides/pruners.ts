// Pruners on recorded curves: epochs spent, and what is lost for it.
import { peakRssBytes } from '../../../src-main/base/peak-memory.ts';
import { prunerOf } from '../../../src-main/sweep/pruner.ts';
import { readCurves, replay } from '../sweeps/replay.ts';

const started = performance.now();
const figures: Record<string, number> = {};
for (const kind of ['asha', 'median'] as const) {
  const replayed = replay(prunerOf(kind, readCurves().epochs));
  for (const name of ['spent', 'regret', 'unpruned'] as const) figures[`${kind}_${name}`] = replayed[name];
}
console.log(JSON.stringify({ ms: [performance.now() - started], peakRssBytes: peakRssBytes(), figures }));

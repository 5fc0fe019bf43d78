// What the scheduler itself takes of trials that end at once: --trials N --sampler random | tpe.
import { parseArgs } from 'node:util';
import { peakRssBytes } from '../../../src-main/base/peak-memory.ts';
import { SAMPLERS } from '../../../src-main/sweep/sampler.ts';
import { simulate } from '../sweeps/simulate.ts';

const { values } = parseArgs({
  options: { trials: { type: 'string', default: '10000' }, sampler: { type: 'string', default: 'random' } },
});
const sampler = SAMPLERS.find((kind) => kind === values.sampler)!;
const trials = Number(values.trials);
const started = performance.now();
await simulate({ sampler, pruner: 'asha', trials, parallel: 2 });
const ms = performance.now() - started;
const peak = peakRssBytes();
console.log(JSON.stringify({ ms: [ms], peakRssBytes: peak, figures: { msPerTrial: ms / trials } }));

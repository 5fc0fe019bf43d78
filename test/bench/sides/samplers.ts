// Regret after 100 trials, the median of 20 seeds, on Branin, Hartmann-6 and Rosenbrock: --sampler random | ... | tpe.
import { parseArgs } from 'node:util';
import { peakRssBytes } from '../../../src-main/base/peak-memory.ts';
import { SAMPLERS } from '../../../src-main/sweep/sampler.ts';
import { spread } from '../measure.ts';
import { functions } from '../sweeps/functions.ts';
import { regretOf } from '../sweeps/search.ts';

const { values } = parseArgs({ options: { sampler: { type: 'string', default: 'tpe' } } });
const sampler = SAMPLERS.find((kind) => kind === values.sampler)!;
const started = performance.now();
const figures: Record<string, number> = {};
for (const [name, each] of Object.entries(functions))
  figures[name] = spread(Array.from({ length: 20 }, (_, seed) => regretOf(sampler, each, 100, seed))).median;
console.log(JSON.stringify({ ms: [performance.now() - started], peakRssBytes: peakRssBytes(), figures }));

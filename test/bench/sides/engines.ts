// Twenty optimizer steps of each method on the compiled engine and on TF.js's CPU backend: how far the parameters of
// the worst tensor are apart, by norm.
import { CompiledEngine } from '../../../src-main/engine/compiled.ts';
import { EagerEngine } from '../../../src-main/engine/eager.ts';
import { last } from '../../../src-main/methods/last.ts';
import { linear } from '../../../src-main/methods/linear.ts';
import { miet } from '../../../src-main/methods/miet.ts';
import { randomFloats } from '../../unit/engine/random-floats.ts';
import { classes, compareTraining, layout, trainSteps } from '../../unit/training/train-steps.ts';
import { report, timeSteps } from '../side.ts';

const STEPS = 20;
const norm = { scale: randomFloats(layout.width, 90, true), shift: randomFloats(layout.width, 91), epsilon: 1e-6 };
const ladder = { layout, norm, classes, blocks: 3, group: 1, depth: 1, rank: 4, pool: 'cls' } as const;
const networks = [
  { network: linear({ layout, norm, classes }), rowSums: false },
  { network: last({ ...ladder, form: 'plain' }), rowSums: false },
  { network: last({ ...ladder, form: 'low-rank' }), rowSums: true },
  {
    network: miet({ layout, classes, upto: 2, depth: 2, rank: 4, pool: 'mean', form: 'plain' }),
    rowSums: false,
  },
];

let worstTensor = 0;
const times = await timeSteps(
  async () => {
    for (const { network, rowSums } of networks) {
      const compiled = await trainSteps(new CompiledEngine({ threads: 1 }), network, rowSums, STEPS);
      const eager = await trainSteps(new EagerEngine(), network, rowSums, STEPS);
      worstTensor = Math.max(worstTensor, ...compareTraining(compiled, eager).map(({ trained }) => trained));
    }
  },
  { warmUps: 0, steps: 1 },
);
report(times, { figures: { worstTensor } });

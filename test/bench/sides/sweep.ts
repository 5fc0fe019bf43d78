// Eight trials over one set: --how separate (one run after the other, each with features of its own), one (trial at a
// time, on one thread), one-all-threads, all (cores, a trial each), lanes (four trials to each core).
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { writePlainVit } from '../../../src-main/backbone/plain-vit.ts';
import { peakRssBytes } from '../../../src-main/base/peak-memory.ts';
import { writeOrientationSet } from '../../../src-main/data/sample/orientation.ts';
import { addBackbone } from '../../../src-main/studio/backbones.ts';
import { addDataset } from '../../../src-main/studio/datasets/datasets.ts';
import { startSweep } from '../../../src-main/studio/sweeps/run-sweep.ts';
import { train } from '../../../src-main/studio/train.ts';
import { Workspace } from '../../../src-main/workspace/workspace.ts';

const { values } = parseArgs({ options: { how: { type: 'string', default: 'all' } } });
const RANKS = [4, 8];
const RATES = [1e-3, 3e-3, 1e-2, 3e-2];
const EPOCHS = 10;

const folder = await mkdtemp(join(tmpdir(), 'bench-sweep-'));
try {
  await writeOrientationSet(join(folder, 'hearts'), { train: 400, val: 100, test: 0, seed: 2 });
  await writeFile(join(folder, 'vit.onnx'), writePlainVit({ blocks: 6, width: 96, seed: 5 }));
  const workspace = await Workspace.open(join(folder, 'workspace'));
  await addDataset(workspace, { path: join(folder, 'hearts') });
  await addBackbone(workspace, { file: join(folder, 'vit.onnx') });
  const what = { dataset: 'hearts', backbone: 'vit', noTest: true };
  const started = performance.now();
  let seconds = 0;
  if (values.how === 'separate')
    for (const rank of RANKS)
      for (const learningRate of RATES) {
        const own = join(folder, `${rank}-${learningRate}`);
        const copying = performance.now();
        await cp(workspace.root, own, { recursive: true });
        seconds -= (performance.now() - copying) / 1000;
        const settings = { method: 'miet', rank, learningRate, epochs: EPOCHS } as const;
        await train(await Workspace.open(own), { ...what, settings });
      }
  else {
    const space = { method: 'miet', rank: RANKS, learningRate: RATES, epochs: EPOCHS };
    const parallel = values.how.startsWith('one') ? 1 : availableParallelism();
    const threads = values.how === 'one-all-threads' ? availableParallelism() : 1;
    const lanes = values.how === 'lanes' ? 4 : 1;
    await startSweep(workspace, { ...what, space, sampler: 'grid', parallel, threads, lanes });
  }
  seconds += (performance.now() - started) / 1000;
  console.log(JSON.stringify({ ms: [1000 * seconds], peakRssBytes: peakRssBytes() }));
} finally {
  await rm(folder, { recursive: true, force: true });
}

// usage: sweep.ts [--how HOW] [--method miet|last] [--trials N] [--whole] [--images N] [--epochs N]
// Trials over one set, features included. --how separate: one run after the other, on all threads, each with features of
// its own; one: a sweep, a trial at a time, on one thread; one-all-threads; all: cores, a trial each; lanes: four trials to
// each core; shipped: as `sidetune sweep` has it. --whole: 1,000 pictures and 20 epochs of a ViT of the shape of ViT-Ti.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { writePlainVit } from '../../../src-main/backbone/plain-vit.ts';
import { peakRssBytes } from '../../../src-main/base/peak-memory.ts';
import { writeOrientationSet } from '../../../src-main/data/sample/orientation.ts';
import { addBackbone } from '../../../src-main/studio/backbones.ts';
import { addDataset } from '../../../src-main/studio/datasets/datasets.ts';
import type { SweepRequest } from '../../../src-main/studio/sweeps/plan-sweep.ts';
import { startSweep } from '../../../src-main/studio/sweeps/run-sweep.ts';
import { train } from '../../../src-main/studio/train.ts';
import { Workspace } from '../../../src-main/workspace/workspace.ts';
import { Watch } from '../watch.ts';

const { values } = parseArgs({
  options: {
    how: { type: 'string', default: 'shipped' },
    method: { type: 'string', default: 'miet' },
    trials: { type: 'string', default: '8' },
    whole: { type: 'boolean', default: false },
    images: { type: 'string' },
    epochs: { type: 'string' },
  },
});
const method = values.method === 'last' ? 'last' : 'miet';
const size = values.whole
  ? { vit: { size: 224, patch: 16, width: 192, blocks: 12, heads: 3 }, picture: 224, images: 1000, epochs: 20 }
  : { vit: { blocks: 6, width: 96 }, picture: 64, images: 500, epochs: 10 };
const images = Number(values.images ?? size.images);
const epochs = Number(values.epochs ?? size.epochs);
/** Of two ranks, so that there are lanes of two kinds. */
const ranks = method === 'last' ? [4, 8] : [8, 16];
const rates = [1e-3, 3e-3, 1e-2, 3e-2].slice(0, Number(values.trials) / ranks.length);

const cores = availableParallelism();
const hows: Record<string, Pick<SweepRequest, 'parallel' | 'threads' | 'lanes'>> = {
  one: { parallel: 1, threads: 1, lanes: 1 },
  'one-all-threads': { parallel: 1, threads: cores, lanes: 1 },
  all: { parallel: cores, threads: 1, lanes: 1 },
  lanes: { parallel: cores, threads: 1, lanes: 4 },
  shipped: { lanes: 'auto' },
};

const folder = await mkdtemp(join(tmpdir(), 'bench-sweep-'));
const watch = new Watch();
try {
  const split = { train: 0.8 * images, val: 0.2 * images, test: 0 };
  await writeOrientationSet(join(folder, 'hearts'), { ...split, size: size.picture, seed: 2 });
  await writeFile(join(folder, 'vit.onnx'), writePlainVit({ ...size.vit, seed: 5 }));
  const workspace = await Workspace.open(join(folder, 'workspace'));
  await addDataset(workspace, { path: join(folder, 'hearts') });
  await addBackbone(workspace, { file: join(folder, 'vit.onnx') });
  const what = { dataset: 'hearts', backbone: 'vit', noTest: true };
  watch.start(process.pid);
  let [seconds, extractSeconds] = [0, 0];
  const timed = async (work: () => Promise<{ extract: number }>) => {
    const started = performance.now();
    extractSeconds += (await work()).extract;
    seconds += (performance.now() - started) / 1000;
  };
  if (values.how === 'separate')
    for (const rank of ranks)
      for (const learningRate of rates) {
        // What a probe has found stays: only the features are made anew.
        await rm(join(workspace.root, 'features'), { recursive: true, force: true });
        const settings = { method, rank, learningRate, epochs } as const;
        await timed(async () => (await train(workspace, { ...what, settings })).seconds);
      }
  else {
    const space = { method, rank: ranks, learningRate: rates, epochs };
    await timed(async () => {
      const answer = await startSweep(workspace, { ...what, space, sampler: 'grid', ...hows[values.how] });
      if (answer.trials.some(({ state }) => state !== 'done')) throw new Error('Not all trials came to their end.');
      return answer.seconds;
    });
  }
  const figures = { extractSeconds, trials: ranks.length * rates.length };
  console.log(JSON.stringify({ ms: [1000 * seconds], peakRssBytes: watch.together || peakRssBytes(), figures }));
} finally {
  watch.stop();
  await rm(folder, { recursive: true, force: true });
}

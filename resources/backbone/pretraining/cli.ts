// usage: npm run pretrain -- [--steps N] [--folder DIR] [--lanes N] [--seed N] [--out FILE.onnx]
// Goes on from the checkpoint in the folder; when all steps are done, or with --export at once, writes the ONNX file.
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Failure } from '../../../src-main/base/failure.ts';
import { writeFileAtomic } from '../../../src-main/workspace/atomic.ts';
import { accuracies } from './accuracy.ts';
import { pretrainedModel } from './export.ts';
import { pretrain } from './pretrain.ts';
import type { PretrainSettings } from './pretrain.ts';
import { SHAPES_VIT } from './vit.ts';

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      steps: { type: 'string', default: '10000' },
      folder: { type: 'string', default: here('../../../.pretraining') },
      lanes: { type: 'string', default: String(availableParallelism()) },
      seed: { type: 'string', default: '1' },
      out: { type: 'string', default: here('../shapes_vit_64.onnx') },
    },
  });
  const [steps, lanes, seed] = [values.steps, values.lanes, values.seed].map(Number) as [number, number, number];
  if (![steps, lanes, seed].every((value) => Number.isInteger(value) && value > 0)) {
    throw new Failure('usage', '--steps, --lanes and --seed want a whole number from 1 on.');
  }
  const settings: PretrainSettings = {
    shape: SHAPES_VIT,
    steps,
    batch: 32,
    microBatch: 16,
    learningRate: 1e-3,
    weightDecay: 0.05,
    seed,
  };
  const stop = new AbortController();
  process.once('SIGINT', () => stop.abort());
  process.once('SIGTERM', () => stop.abort());
  const started = performance.now();
  let first: number | undefined;
  let smooth: number | undefined;
  const { layout, parameters, step } = await pretrain(values.folder, settings, {
    lanes,
    signal: stop.signal,
    onStep: ({ step, loss }) => {
      first ??= step - 1;
      smooth = smooth === undefined ? loss : 0.99 * smooth + 0.01 * loss;
      if (step % 50 !== 0 && step !== steps) return;
      const rate = ((step - first) * settings.batch * 1000) / (performance.now() - started);
      const words = `step ${step}/${steps}: loss ${smooth.toFixed(3)}, ${rate.toFixed(0)} pictures/s`;
      process.stderr.write(`${new Date().toISOString().slice(11, 19)} ${words}\n`);
    },
  });
  const right = await accuracies(SHAPES_VIT, layout, parameters, { pictures: 2048, seed: seed + 1 });
  const shares = Object.fromEntries(Object.entries(right).map(([task, share]) => [task, Number(share.toFixed(4))]));
  const pictures = step * settings.batch;
  const out = step === steps ? values.out : join(values.folder, 'unfinished.onnx');
  await writeFileAtomic(out, pretrainedModel(SHAPES_VIT, layout, parameters, { pictures }));
  console.log(JSON.stringify({ out, step, pictures, heldOut: shares }));
}

try {
  await main();
} catch (error) {
  if (!(error instanceof Failure)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = error.code === 'usage' ? 2 : 1;
}

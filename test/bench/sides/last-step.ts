// usage: last-step.ts --shape vit_tiny|vit_b --form plain|low-rank [--batch N] [--micro N] [--steps N]
// One optimizer step of LAST exactly as the trainer takes it: features read from a cache file, gradients in lanes,
// AdamW. Threads come from BENCH_THREADS. The setting is that of peers/last_step.py: CLS pooled, random features.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';
import { mapName } from '../../../src-main/backbone/surgery.ts';
import { CompiledEngine } from '../../../src-main/engine/compiled.ts';
import { floatsToHalves, halvesToFloats } from '../../../src-main/engine/half.ts';
import { baseColumns, mapColumns, type FeatureSet } from '../../../src-main/features/feature-set.ts';
import { RowFileWriter } from '../../../src-main/features/row-file.ts';
import { last } from '../../../src-main/methods/last.ts';
import type { StepForm } from '../../../src-main/methods/network.ts';
import { EpochRunner } from '../../../src-main/training/epoch.ts';
import { defaultMicroBatch } from '../../../src-main/training/micro-batch.ts';
import { Optimizer } from '../../../src-main/training/optimizer.ts';
import { ParameterLayout } from '../../../src-main/training/parameters.ts';
import { normal } from '../../../src-main/training/random.ts';
import { CLASSES, GROUPS, RANK, SHAPES, type ShapeName } from '../shapes.ts';
import { report, timeSteps } from '../side.ts';

const { values } = parseArgs({
  options: {
    shape: { type: 'string', default: 'vit_tiny' },
    form: { type: 'string', default: 'plain' },
    batch: { type: 'string', default: '16' },
    micro: { type: 'string' },
    steps: { type: 'string', default: '5' },
  },
});
const { tokens, width } = SHAPES[values.shape as ShapeName];
const form: StepForm = values.form === 'low-rank' ? 'low-rank' : 'plain';
const [batch, steps, threads] = [Number(values.batch), Number(values.steps), Number(process.env.BENCH_THREADS ?? 2)];
const layout = { tokens, width, prefix: 1 };
const microBatch = Number(values.micro ?? defaultMicroBatch(layout, GROUPS, batch, threads));
const norm = { scale: new Float32Array(width).fill(1), shift: new Float32Array(width), epsilon: 1e-6 };
const network = last({
  layout,
  norm,
  classes: CLASSES,
  blocks: GROUPS,
  group: 1,
  depth: 1,
  rank: RANK,
  pool: 'cls',
  form,
});
const parameters = new ParameterLayout(network.parameters);

const folder = await mkdtemp(join(tmpdir(), 'last-step-'));
try {
  const engine = new CompiledEngine({ threads: 1 });
  const data = { features: await randomFeatures(), labels: Array.from({ length: batch }, (_, i) => i % CLASSES) };
  const options = {
    network,
    parameters,
    layout,
    pool: 'cls' as const,
    form,
    batch,
    microBatch,
    labelSmoothing: 0,
    dropPath: 0,
    classWeights: new Float32Array(CLASSES).fill(1),
    seed: 1,
  };
  const runner = await EpochRunner.open(engine, data, options, threads);
  const optimizer = await Optimizer.create(engine, parameters, 0.05, { parameters: parameters.initialize(1) });
  let epoch = 0;
  let loss = NaN;
  // An epoch of one batch is one step.
  const step = async () => {
    loss = await runner.run(
      epoch++,
      optimizer,
      () => ({ side: 1e-3, head: 1e-3 }),
      () => undefined,
    );
  };
  const times = await timeSteps(step, { steps });
  if (!Number.isFinite(loss)) throw new Error(`The loss is ${loss}.`);
  await runner.close();
  await optimizer.close();
  report(times, { images: batch, microBatch, loss });
} finally {
  await rm(folder, { recursive: true });
}

/** A cache of random features, P_i = P_{i-1} + noise. */
async function randomFeatures(): Promise<FeatureSet> {
  const generator = xoroshiro128plus(1);
  // Values out of a table: drawing each of 29 million takes longer than the bench.
  const noise = Float32Array.from({ length: 9973 }, () => normal(generator));
  const state = new Float32Array(tokens * width);
  const stored = new Float32Array(state.length);
  const set: FeatureSet = {
    images: batch,
    tokens,
    width,
    storage: 'fp16',
    maps: {},
    base: join(folder, 'base.safetensors'),
    hasCls: true,
  };
  const base = await RowFileWriter.create(set.base, baseColumns(width, true), batch);
  const writers: RowFileWriter[] = [];
  for (const map of network.maps) {
    const path = join(folder, `${mapName(map)}.safetensors`);
    set.maps[mapName(map)] = { path, scale: 1 };
    writers.push(await RowFileWriter.create(path, mapColumns(tokens, width), batch));
  }
  for (let image = 0; image < batch; image++) {
    state.fill(0);
    for (const [index, writer] of writers.entries()) {
      for (let i = 0; i < state.length; i++) state[i]! += noise[(i * 7 + index * 131 + image * 1009) % noise.length]!;
      const map = floatsToHalves(state);
      halvesToFloats(map, stored);
      const sums = { row_sums: new Float32Array(tokens), row_square_sums: new Float32Array(tokens) };
      stored.forEach((value, i) => {
        const row = Math.floor(i / width);
        sums.row_sums[row]! += value;
        sums.row_square_sums[row]! += value ** 2;
      });
      await writer.write(image, 1, { map, ...sums });
    }
    const pooled = noise.subarray(image, image + width);
    await base.write(image, 1, { base_cls: pooled, base_mean: pooled });
  }
  for (const writer of writers) await writer.finish({ scale: '1' });
  await base.finish({});
  return set;
}

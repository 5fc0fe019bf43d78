// usage: last-step.ts --shape vit_tiny|vit_b --form plain|low-rank [--batch N] [--micro N] [--steps N]
// One optimizer step of LAST exactly as the trainer takes it: features read from a cache file, gradients in lanes,
// AdamW. Threads come from BENCH_THREADS. The setting is that of peers/last_step.py: CLS pooled, random features.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { CompiledEngine } from '../../../src-main/engine/compiled.ts';
import { last } from '../../../src-main/methods/last.ts';
import type { StepForm } from '../../../src-main/methods/network.ts';
import { EpochRunner } from '../../../src-main/training/epoch.ts';
import { defaultMicroBatch } from '../../../src-main/training/micro-batch.ts';
import { Optimizer } from '../../../src-main/training/optimizer.ts';
import { ParameterLayout } from '../../../src-main/training/parameters.ts';
import { writeRandomFeatures } from '../random-features.ts';
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
  const data = {
    features: await writeRandomFeatures(folder, layout, network.maps, batch),
    labels: Array.from({ length: batch }, (_, i) => i % CLASSES),
  };
  const options = {
    network,
    parameters,
    layout,
    pool: 'cls' as const,
    form,
    batch,
    microBatch,
    drops: false,
    views: 1,
    seed: 1,
  };
  const runner = await EpochRunner.open(engine, data, options, threads);
  const optimizer = await Optimizer.create(engine, parameters, 0.05, { parameters: parameters.initialize(1) });
  const lane = {
    optimizer,
    rates: () => ({ side: 1e-3, head: 1e-3 }),
    labelSmoothing: 0,
    dropPath: 0,
    classWeights: new Float32Array(CLASSES).fill(1),
  };
  let epoch = 0;
  let loss = NaN;
  // An epoch of one batch is one step.
  const step = async () => {
    const [outcome] = await runner.run(epoch++, [lane], () => undefined);
    if ('error' in outcome!) throw outcome.error;
    ({ loss } = outcome!);
  };
  const times = await timeSteps(step, { steps });
  if (!Number.isFinite(loss)) throw new Error(`The loss is ${loss}.`);
  await runner.close();
  await optimizer.close();
  report(times, { images: batch, microBatch, loss });
} finally {
  await rm(folder, { recursive: true });
}

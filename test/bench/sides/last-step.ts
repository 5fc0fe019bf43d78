// usage: last-step.ts --shape vit_tiny|vit_b --form plain|low-rank [--batch N] [--micro N] [--steps N]
// One optimizer step of LAST as the trainer takes it: gradient of each micro-batch, then AdamW, in onnxruntime.
// Threads come from BENCH_THREADS. The setting is that of peers/last_step.py: CLS pooled, fp16 features at random.
import { parseArgs } from 'node:util';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';
import { CompiledEngine } from '../../../src-main/engine/compiled.ts';
import { floatsToHalves, halvesToFloats } from '../../../src-main/engine/half.ts';
import type { Buffers } from '../../../src-main/engine/program.ts';
import { last } from '../../../src-main/methods/last.ts';
import { ParameterLayout } from '../../../src-main/training/parameters.ts';
import { gradientProgram, updateProgram } from '../../../src-main/training/programs.ts';
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
const form = values.form === 'low-rank' ? 'low-rank' : 'plain';
const [batch, steps] = [Number(values.batch), Number(values.steps)];
const micro = Number(values.micro ?? batch);

const layout = { tokens, width, prefix: 1 };
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
const parameterLayout = new ParameterLayout(network.parameters);
const scales = network.maps.map(() => 1);
const shape = { batch: micro, layout, scales, rowSums: form === 'low-rank', dropPath: false };

const engine = new CompiledEngine({ threads: Number(process.env.BENCH_THREADS ?? 2) });
const gradientOf = await engine.compile(gradientProgram(network, parameterLayout, shape, 0));
const update = await engine.compile(updateProgram(parameterLayout, 0.05));

/** Features of one micro-batch: P_i = P_{i-1} + noise, with the row sums of what is stored. */
function randomFeatures(): Buffers {
  const generator = xoroshiro128plus(1);
  // Values out of a table: drawing each of 29 million takes longer than the bench.
  const noise = Float32Array.from({ length: 9973 }, () => normal(generator));
  const state = new Float32Array(micro * tokens * width);
  const stored = new Float32Array(state.length);
  const feeds: Buffers = { base: Float32Array.from({ length: micro * width }, (_, i) => noise[i % noise.length]!) };
  for (let map = 0; map < network.maps.length; map++) {
    for (let i = 0; i < state.length; i++) state[i]! += noise[(i * 7 + map * 131) % noise.length]!;
    const half = floatsToHalves(state);
    feeds[`map_${map}`] = half;
    if (form !== 'low-rank') continue;
    halvesToFloats(half, stored);
    const sums = new Float32Array(micro * tokens);
    const squares = new Float32Array(micro * tokens);
    for (let i = 0; i < stored.length; i++) {
      const row = Math.floor(i / width);
      sums[row]! += stored[i]!;
      squares[row]! += stored[i]! ** 2;
    }
    feeds[`row_sums_${map}`] = sums;
    feeds[`row_square_sums_${map}`] = squares;
  }
  return feeds;
}

const features = Array.from({ length: batch / micro }, randomFeatures);
const vector = () => new Float32Array(parameterLayout.size);
const [parameters, mean, variance, gradient] = [parameterLayout.initialize(1), vector(), vector(), vector()];
const loss = new Float32Array(1);
const labels = Int32Array.from({ length: micro }, (_, i) => i % CLASSES);
const weights = new Float32Array(micro).fill(1 / batch);
let time = 0;

async function step(): Promise<void> {
  gradient.fill(0);
  loss[0] = 0;
  for (const feeds of features) {
    await gradientOf.run(
      { ...feeds, parameters, gradient, loss, labels, weights },
      { gradient_out: gradient, loss_out: loss },
    );
  }
  time++;
  const rates = Float32Array.of(1e-3, 1e-3, 1 / (1 - 0.9 ** time), 1 / (1 - 0.999 ** time));
  await update.run(
    { parameters, gradient, mean, variance, rates },
    { parameters_out: parameters, mean_out: mean, variance_out: variance },
  );
}

const times = await timeSteps(step, { steps });
if (!Number.isFinite(loss[0])) throw new Error(`The loss is ${loss[0] ?? 'missing'}.`);
report(times, { images: batch, loss: loss[0] });

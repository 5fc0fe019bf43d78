import { CompiledEngine } from '../../engine/compiled.ts';
import { allocate, type Buffers, type Program } from '../../engine/program.ts';
import type { StepForm } from '../../methods/network.ts';
import { buildNetwork } from '../build-network.ts';
import { defaultMicroBatch } from '../micro-batch.ts';
import { ParameterLayout } from '../parameters.ts';
import { gradientProgram } from '../programs.ts';
import type { StepQuestion, TimedStep } from './step-question.ts';

/** Blocks of runs, the fastest of which counts: what else the machine does slows some of them. */
const BLOCKS = 3;
const BLOCK_MS = 60;

/** A low-rank step this much slower than the plain one at the same size is tried at no other. */
const HOPELESS = 1.15;

/**
 * Times the gradient programs of a run on made-up features: plain with micro-batches from the usual one upwards, or else
 * downwards, as long as that helps; then low-rank from the best of those on.
 *
 * One thread is timed, in core time: gradient threads have a core each, and what runs beside the probe should not count.
 */
export async function probeSteps(question: StepQuestion, onTimed: (step: TimedStep) => void): Promise<void> {
  const { settings, frozen, threads } = question;
  const { maps } = buildNetwork(settings, frozen, 'plain');
  const sizes = microBatches(settings.batch, threads);
  const timer = (stepForm: StepForm) => async (microBatch: number) => {
    const msPerImage = await timeStep(question, stepForm, microBatch);
    onTimed({ stepForm, microBatch, msPerImage });
    return msPerImage;
  };
  const usual = sizes.indexOf(defaultMicroBatch(frozen.layout, maps.length, settings.batch, threads));
  const plain = await climb(sizes, usual, timer('plain'));
  await climb(sizes, plain.index, timer('low-rank'), HOPELESS * plain.ms);
}

/** Tries `start`, then neighbours in one direction while they get faster, else in the other. */
async function climb(
  sizes: readonly number[],
  start: number,
  time: (size: number) => Promise<number>,
  hopeless = Infinity,
): Promise<{ index: number; ms: number }> {
  let best = { index: start, ms: await time(sizes[start]!) };
  if (best.ms > hopeless) return best;
  for (const direction of [1, -1]) {
    for (let index = start + direction; index >= 0 && index < sizes.length; index += direction) {
      const ms = await time(sizes[index]!);
      if (ms >= best.ms) break;
      best = { index, ms };
    }
    if (best.index !== start) break;
  }
  return best;
}

/** Powers of two up to an even share of the batch for each thread, and that share. */
export function microBatches(batch: number, threads: number): number[] {
  const share = Math.ceil(batch / threads);
  const sizes = [share];
  for (let size = 2 ** Math.ceil(Math.log2(share) - 1); size >= 1; size /= 2) sizes.unshift(size);
  return sizes;
}

/** Core-milliseconds an image of a gradient. @param onOpen called once its graph is compiled */
export async function timeStep(
  { settings, frozen }: Pick<StepQuestion, 'settings' | 'frozen'>,
  stepForm: StepForm,
  microBatch: number,
  onOpen: () => void = () => undefined,
): Promise<number> {
  const network = buildNetwork(settings, frozen, stepForm);
  const layout = new ParameterLayout(network.parameters);
  const program = gradientProgram(network, layout, {
    batch: microBatch,
    layout: frozen.layout,
    scales: network.maps.map(() => 1),
    rowSums: stepForm === 'low-rank',
    dropPath: settings.dropPath > 0,
  });
  const executable = await new CompiledEngine({ threads: 1 }).compile(program);
  onOpen();
  try {
    const feeds = madeUp(program, layout.initialize(1));
    const results = await executable.run(feeds);
    let best = Infinity;
    for (let block = 0; block < BLOCKS; block++) {
      const [begun, used] = [performance.now(), process.cpuUsage()];
      let runs = 0;
      do {
        await executable.run(feeds, results);
        runs++;
      } while (performance.now() - begun < BLOCK_MS);
      const { user, system } = process.cpuUsage(used);
      best = Math.min(best, (user + system) / 1000 / runs);
    }
    return best / microBatch;
  } finally {
    await executable.dispose();
  }
}

/** Inputs of the right sizes; that they are ordinary numbers is all that times depend on. */
function madeUp(program: Program, parameters: Float32Array): Buffers {
  return Object.fromEntries(
    Object.entries(program.inputs).map(([name, spec]) => {
      if (name === 'parameters') return [name, parameters];
      const data = allocate(spec);
      // Halves from 0.125 to 2, one after the other.
      if (data instanceof Uint16Array) data.forEach((_, i) => (data[i] = 0x3000 + ((i * 7919) & 0xfff)));
      if (data instanceof Float32Array && !/^(gradient|loss)$/.test(name))
        data.forEach((_, i) => (data[i] = 1 + (i % 13) / 13));
      return [name, data];
    }),
  );
}

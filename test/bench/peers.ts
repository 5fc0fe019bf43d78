// usage: npm run bench:peers -- [--json] [--repeats N] [--threads N] [--shape NAME] [--batch N] [--no-lora] [--pypi]
// One optimizer step of LAST in PyTorch on the CPU, plain and low-rank, and of LoRA on ViT-B/16 for scale, beside our
// own step and the C yardstick. Never needed by users or by `npm test`.
import { spawnSync } from 'node:child_process';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { Failure } from '../../src-main/base/failure.ts';
import { measureLimit } from './limit.ts';
import { measureSides, ratio, runSide, tsSide, type Ratio, type Side, type SideSummary } from './measure.ts';
import { peerPython } from './peers/python.ts';
import { SHAPES } from './shapes.ts';
import { ratiosTable, sidesTable } from './table.ts';

const { values } = parseArgs({
  options: {
    json: { type: 'boolean' },
    repeats: { type: 'string', default: '3' },
    threads: { type: 'string', default: String(Math.min(2, availableParallelism())) },
    shape: { type: 'string', multiple: true, default: Object.keys(SHAPES) },
    batch: { type: 'string', multiple: true, default: ['16', '32'] },
    'no-lora': { type: 'boolean' },
    pypi: { type: 'boolean', default: false },
  },
});

const script = path.join(import.meta.dirname, 'peers/last_step.py');
const log = (line: string) => process.stderr.write(`${line}\n`);

const Info = z.object({ version: z.string(), blas: z.string(), threads: z.number(), gflops: z.number() });

/** Asks the script something that is not a side: `info` or `check`. */
function ask(python: string, question: string, env: Record<string, string>): unknown {
  const run = spawnSync(python, [script, question], { encoding: 'utf8', env: { ...process.env, ...env } });
  if (run.status !== 0) throw new Failure('peers', `last_step.py ${question} failed:\n${run.stderr.trim()}`);
  return JSON.parse(run.stdout.trim().split('\n').at(-1)!);
}

/** Both sides of `npm run bench:peers`, and the pairs to compare (PyTorch's figure / ours). */
function sidesToRun(python: string, threads: number, env: Record<string, string>) {
  const sides: Record<string, Side> = {};
  const pairs: Record<string, [string, string]> = {};
  for (const shape of values.shape) {
    for (const batch of values.batch) {
      const at = `${shape}_batch${batch}`;
      for (const form of ['plain', 'low_rank']) {
        sides[`torch_${form}_${at}`] = { command: python, args: [script, form, shape, batch, '5'], env };
        const flags = ['--shape', shape, '--batch', batch, '--form', form === 'plain' ? 'plain' : 'low-rank'];
        sides[`sidetune_${form}_${at}`] = tsSide('last-step.ts', [...flags, '--steps', '5'], threads);
        pairs[`${at}_torch_plain/sidetune_${form}`] = [`torch_plain_${at}`, `sidetune_${form}_${at}`];
      }
      pairs[`${at}_torch_plain/torch_low_rank`] = [`torch_plain_${at}`, `torch_low_rank_${at}`];
    }
  }
  if (!values['no-lora']) {
    sides.torch_lora_vit_b_batch16 = { command: python, args: [script, 'lora', 'vit_b', '16', '2'], env, repeats: 1 };
  }
  return { sides, pairs };
}

async function main(): Promise<void> {
  const threads = Number(values.threads);
  const repeats = Number(values.repeats);
  const unknown = values.shape.find((shape) => !Object.hasOwn(SHAPES, shape));
  if (unknown !== undefined) {
    throw new Failure('usage', `There is no shape '${unknown}'; there are: ${Object.keys(SHAPES).join(', ')}.`);
  }
  if (![threads, repeats, ...values.batch.map(Number)].every((value) => Number.isInteger(value) && value > 0)) {
    throw new Failure('usage', '--threads, --repeats and --batch want a whole number from 1 on.');
  }
  const python = peerPython({ pypi: values.pypi }, log);
  const env = { OMP_NUM_THREADS: String(threads), OPENBLAS_NUM_THREADS: String(threads) };

  const info = Info.parse(ask(python, 'info', env));
  const own = await runSide('onnxruntime product', tsSide('matmul.ts', [], threads));
  const gflops = { torch: info.gflops, onnxruntime: z.number().parse(own.gflops) };
  const fair = `PyTorch ${info.version} (${info.blas}): ${gflops.torch.toFixed(0)} GFLOP/s; onnxruntime: ${gflops.onnxruntime.toFixed(0)} GFLOP/s; ${threads} threads`;
  log(fair);
  if (gflops.torch < gflops.onnxruntime / 2) {
    throw new Failure(
      'peers',
      `This PyTorch is no fair baseline: its matrix product reaches less than half of onnxruntime's (${fair}); on Debian install libopenblas0-pthread.`,
    );
  }
  const check = z.object({ worstRelativeGradient: z.number() }).parse(ask(python, 'check', env));
  log(`The plain and the low-rank form agree: gradients differ by ${check.worstRelativeGradient.toExponential(1)}.`);

  const limit = measureLimit(32);
  const { sides: toRun, pairs } = sidesToRun(python, threads, env);
  const sides: Record<string, SideSummary> = await measureSides(toRun, repeats, log);
  const ratios: Record<string, Ratio> = {};
  for (const [name, [other, side]] of Object.entries(pairs)) ratios[name] = ratio(sides[other]!, sides[side]!);

  console.log(`${fair}\n\n${sidesTable(sides)}\n\n${ratiosTable(ratios)}\n`);
  if (typeof limit === 'string') console.log(`The limit is left out: ${limit}.`);
  else console.log(`The limit, ViT-Ti batch ${limit.batch}: ${limit.coreMsPerImage.median} core-ms an image.`);
  if (values.json) {
    const extra = typeof limit === 'object' ? { limit: { coreMsPerImage: limit.coreMsPerImage } } : {};
    console.log(JSON.stringify({ name: 'peers', torch: info, gflops, sides: { ...sides, ...extra }, ratio: ratios }));
  }
}

try {
  await main();
} catch (error) {
  if (!(error instanceof Failure)) throw error;
  process.stderr.write(`${error.message}\n`);
  if (values.json) console.log(JSON.stringify({ error: { code: error.code, message: error.message } }));
  process.exitCode = error.code === 'usage' ? 2 : 1;
}

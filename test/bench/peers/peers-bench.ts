import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { z } from 'zod';
import { Failure } from '../../../src-main/base/failure.ts';
import { lastLine, tsSide, type Side } from '../measure.ts';
import type { Bench, Outcome, Row } from '../outcome.ts';
import { SHAPES } from '../shapes.ts';
import { SideReport } from '../side.ts';

const script = path.join(import.meta.dirname, 'last_step.py');
const Info = z.object({ version: z.string(), blas: z.string(), threads: z.number(), gflops: z.number() });

export interface PeersChoice {
  threads: number;
  shapes?: readonly string[];
  batches?: readonly number[];
  lora?: boolean;
}

/** What the row of LoRA is about: this many images, this often. */
const JOB = { images: 1000, epochs: 100, batch: 16 };

/**
 * LAST in PyTorch and here, and LoRA in PyTorch, as a bench; `facts` says what PyTorch it is.
 * @throws Failure where this PyTorch is no fair baseline, or its two forms of LAST do not agree
 */
export function peersBench(python: string, choice: PeersChoice, log: (line: string) => void) {
  const { threads, shapes = Object.keys(SHAPES), batches = [16, 32], lora = true } = choice;
  const unknown = shapes.find((shape) => !Object.hasOwn(SHAPES, shape));
  if (unknown !== undefined)
    throw new Failure('usage', `There is no shape '${unknown}'; there are: ${Object.keys(SHAPES).join(', ')}.`);
  const env = { OMP_NUM_THREADS: String(threads), OPENBLAS_NUM_THREADS: String(threads) };
  const facts = fairBaseline(python, threads, env, log);

  const sides: Record<string, Side> = {};
  const ratios: Bench['ratios'] = {};
  for (const shape of shapes) {
    for (const batch of batches) {
      const at = `${shape}_batch${batch}`;
      for (const form of ['plain', 'low_rank']) {
        sides[`torch_${form}_${at}`] = { command: python, args: [script, form, shape, String(batch), '5'], env };
        const flags = ['--shape', shape, '--batch', String(batch), '--form', form.replace('_', '-'), '--steps', '5'];
        sides[`sidetune_${form}_${at}`] = tsSide('last-step.ts', flags, threads);
        ratios[`${at}_torch_plain/sidetune_${form}`] = [`torch_plain_${at}`, `sidetune_${form}_${at}`];
      }
      ratios[`${at}_torch_plain/torch_low_rank`] = [`torch_plain_${at}`, `torch_low_rank_${at}`];
    }
  }
  if (lora) {
    sides.torch_lora_vit_b_batch16 = { command: python, args: [script, 'lora', 'vit_b', '16', '2'], env, repeats: 1 };
    sides.sidetune_extract_vit_b = tsSide('extract-vit-b.ts', [], threads, 1);
  }
  const bench: Bench = {
    about: 'one optimizer step of LAST and of LoRA in PyTorch beside our own',
    sides,
    ratios,
    repeats: 3,
    limitBatch: 32,
    rows: (outcome) => [...stepRows(outcome), ...loraRow(outcome)],
  };
  return { bench, facts };
}

function stepRows({ ratio }: Outcome): Row[] {
  const found = ratio['vit_b_batch16_torch_plain/sidetune_plain'];
  if (!found) return [];
  const { time, fastest, memory } = found;
  return [
    {
      what: 'LAST step, ViT-B/16 shape, batch 16, against straightforward LAST in PyTorch CPU',
      asked: '4 x faster (aim 6 x), half the peak memory',
      measured: `${time.toFixed(1)} x faster (${fastest.toFixed(1)} x by the fastest steps), ${memory.toFixed(1)} x less memory`,
      reached: time >= 4 && memory >= 2,
    },
  ];
}

/** Both sides from what a step takes; ours with the extraction. */
function loraRow({ sides }: Outcome): Row[] {
  const { torch_lora_vit_b_batch16: lora, sidetune_extract_vit_b: extract, sidetune_plain_vit_b_batch16: step } = sides;
  if (!lora || !extract || !step) return [];
  const steps = JOB.epochs * Math.ceil(JOB.images / JOB.batch);
  const theirs = (steps * lora.ms.median) / 1000;
  const extraction = (JOB.images * extract.ms.median) / 1000;
  const training = (steps * step.ms.median) / 1000;
  const times = theirs / (extraction + training);
  const minutes = (seconds: number) => `${(seconds / 60).toFixed(1)} min`;
  return [
    {
      what: '1,000 images x 100 epochs with ViT-B/16, extraction included, against LoRA in PyTorch CPU (both from their steps)',
      asked: '40 x faster',
      measured: `${times.toFixed(0)} x faster (${minutes(extraction)} of extraction and ${minutes(training)} of training against ${(theirs / 3600).toFixed(1)} h)`,
      reached: times >= 40,
    },
  ];
}

/** What PyTorch this is, how fast its products are, and that its two forms of LAST agree. */
function fairBaseline(python: string, threads: number, env: Record<string, string>, log: (line: string) => void) {
  const torch = Info.parse(ask([python, script, 'info'], env));
  const { command, args, env: own } = tsSide('matmul.ts', [], threads);
  const ours = SideReport.parse(ask([command, ...args], own ?? {}));
  const gflops = { torch: torch.gflops, onnxruntime: z.number().parse(ours.gflops) };
  const fair = `PyTorch ${torch.version} (${torch.blas}): ${gflops.torch.toFixed(0)} GFLOP/s; onnxruntime: ${gflops.onnxruntime.toFixed(0)} GFLOP/s; ${threads} threads`;
  log(fair);
  if (gflops.torch < gflops.onnxruntime / 2)
    throw new Failure(
      'peers',
      `This PyTorch is no fair baseline: its matrix product reaches less than half of onnxruntime's (${fair}); on Debian install libopenblas0-pthread.`,
    );
  const check = z.object({ worstRelativeGradient: z.number() }).parse(ask([python, script, 'check'], env));
  log(`The plain and the low-rank form agree: gradients differ by ${check.worstRelativeGradient.toExponential(1)}.`);
  return { torch, gflops };
}

/** Runs a program that prints JSON as its last line. @throws Failure with what it said */
function ask([command, ...args]: string[], env: NodeJS.ProcessEnv): unknown {
  const run = spawnSync(command!, args, { encoding: 'utf8', env: { ...process.env, ...env } });
  const answer = run.status === 0 ? lastLine(run.stdout) : undefined;
  if (answer === undefined) throw new Failure('peers', `${args.join(' ')} failed:\n${run.stderr.trim()}`);
  return answer;
}

import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { entryBeside, trainingArguments, trainingEnvironment } from '../base/fork-entry.ts';
import { startProcess } from '../base/own-process.ts';
import type { TaskOptions } from '../base/progress.ts';
import { ORT_VERSION } from '../engine/session.ts';
import { writeFileAtomic } from '../workspace/atomic.ts';
import type { Workspace } from '../workspace/workspace.ts';
import { laneKey } from './lane-key.ts';
import type { StepQuestion } from './step-question.ts';

/** What a trial costs before it trains, and when it does. */
const laneTimesSchema = z.object({
  /** A process started and its graphs compiled. */
  startSeconds: z.number().positive(),
  /** Of one thread, for forward and backward of an image. */
  secondsPerImage: z.number().positive(),
});
export type LaneTimes = z.infer<typeof laneTimesSchema>;

/** A file in the workspace's `probes`: what was timed, and for what. */
const probeSchema = z.object({ of: z.unknown(), times: laneTimesSchema });

/** Of a trial's time, what its start may take; what is more is shared among lanes. */
const START_SHARE = 0.05;
const MOST = 8;

/** However slow the machine: a probe that takes longer is given up. */
const LONGEST_MS = 20_000;

/**
 * How many trials of a kind a process should train together. On a CPU lanes save no arithmetic: they save the start of a
 * process and its graphs, and reading, so short trials gain by them and long ones do not. The start and a gradient are
 * timed once for each shape, in a few seconds, and kept in the workspace's `probes`.
 * @param images training images of an epoch
 */
export async function chooseLanes(
  workspace: Workspace,
  question: StepQuestion,
  images: number,
  { signal }: Pick<TaskOptions, 'signal'> = {},
): Promise<number> {
  const { settings, frozen, threads } = question;
  const { layout, blocks, classes } = frozen;
  const shape = laneKey({ ...settings, seed: 0, limit: null });
  const of = { processor: cpus()[0]?.model ?? process.arch, onnxruntime: ORT_VERSION, shape, layout, blocks, classes };
  const hash = createHash('sha256').update(JSON.stringify(of)).digest('hex').slice(0, 12);
  const path = join(workspace.root, 'probes', `lanes-${settings.method}-${hash}.json`);
  let times = await readTimes(path);
  if (!times) {
    times = await timeInProcess(question, signal);
    // A probe that came to grief is no reason not to train.
    if (!times) return 1;
    await writeFileAtomic(path, `${JSON.stringify({ of, times }, null, 2)}\n`);
  }
  return lanesFor(times, (settings.epochs * images) / threads);
}

/** The fewest lanes, a power of two, with which the start of a process is a small part of a trial. */
export function lanesFor({ startSeconds, secondsPerImage }: LaneTimes, images: number): number {
  let lanes = 1;
  while (lanes < MOST && startSeconds / lanes > START_SHARE * images * secondsPerImage) lanes *= 2;
  return lanes;
}

async function readTimes(path: string): Promise<LaneTimes | undefined> {
  try {
    return probeSchema.parse(JSON.parse(await readFile(path, 'utf8'))).times;
  } catch {
    return undefined;
  }
}

/** Times the start of a process like a trainer's, and what it tells of a gradient. @throws the signal's reason when stopped */
async function timeInProcess(question: StepQuestion, signal: AbortSignal | undefined): Promise<LaneTimes | undefined> {
  signal?.throwIfAborted();
  const begun = performance.now();
  const child = startProcess(entryBeside('./lane-probe-process', import.meta.url), {
    execArgv: trainingArguments,
    env: trainingEnvironment(),
    stderr: 'ignore',
  });
  const stop = () => child.kill();
  const timer = setTimeout(stop, LONGEST_MS);
  signal?.addEventListener('abort', stop);
  let startSeconds: number | undefined;
  let secondsPerImage: number | undefined;
  child.onMessage((message) => {
    if (message === 'open') startSeconds = (performance.now() - begun) / 1000;
    else secondsPerImage = Number(message);
  });
  child.tell(question);
  await new Promise<void>((resolve) => child.onEnd(() => resolve()));
  clearTimeout(timer);
  signal?.removeEventListener('abort', stop);
  signal?.throwIfAborted();
  return laneTimesSchema.safeParse({ startSeconds, secondsPerImage }).data;
}

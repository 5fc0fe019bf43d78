import { spawn } from 'node:child_process';
import { loadavg } from 'node:os';
import path from 'node:path';
import { Failure } from '../../src-main/base/failure.ts';
import { trainingArguments, trainingEnvironment } from '../../src-main/base/fork-entry.ts';
import { SideReport } from './side.ts';

/** A program that does one side's work and prints a SideReport. */
export interface Side {
  command: string;
  args: string[];
  env?: NodeJS.ProcessEnv;
  /** Rounds in which the side takes part: slow ones need not run in all. */
  repeats?: number;
}

export interface Spread {
  median: number;
  min: number;
  max: number;
}

/** A side over all its processes: times pool every step, memory every process. */
export interface SideSummary {
  processes: number;
  ms: Spread;
  coreMsPerImage?: Spread;
  peakRssBytes: Spread;
  /** What else a side reports: the largest of its processes. */
  figures?: Record<string, number>;
}

export interface Ratio {
  /** Other side's figure / this side's, of medians: above 1 is better. */
  time: number;
  memory: number;
  /** The same of the fastest steps: what is left of the ratio when a busy machine spoils the medians. */
  fastest: number;
}

/** A side that is a file under sides/: started with tsx in a process of its own. */
export function tsSide(file: string, args: string[], threads: number, repeats?: number): Side {
  const script = path.join(import.meta.dirname, 'sides', file);
  return {
    command: process.execPath,
    args: [...trainingArguments, '--import', 'tsx', script, ...args],
    env: { ...trainingEnvironment(), BENCH_THREADS: String(threads) },
    ...(repeats === undefined ? {} : { repeats }),
  };
}

/** @throws Error on an empty list. */
export function spread(values: readonly number[]): Spread {
  if (values.length === 0) throw new Error('There is no spread of no values.');
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const median = sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
  return { median, min: sorted[0]!, max: sorted.at(-1)! };
}

export function summarize(reports: readonly SideReport[]): SideSummary {
  const cores = reports.flatMap(({ coreMs, images }) => (coreMs && images ? coreMs.map((ms) => ms / images) : []));
  const figures: Record<string, number> = {};
  for (const report of reports)
    for (const [name, value] of Object.entries(report.figures ?? {}))
      figures[name] = Math.max(figures[name] ?? -Infinity, value);
  return {
    processes: reports.length,
    ms: spread(reports.flatMap((report) => report.ms)),
    ...(cores.length > 0 ? { coreMsPerImage: spread(cores) } : {}),
    peakRssBytes: spread(reports.map((report) => report.peakRssBytes)),
    ...(Object.keys(figures).length > 0 ? { figures } : {}),
  };
}

/** How much faster and smaller `side` is than `other`. */
export function ratio(other: SideSummary, side: SideSummary): Ratio {
  return {
    time: other.ms.median / side.ms.median,
    memory: other.peakRssBytes.median / side.peakRssBytes.median,
    fastest: other.ms.min / side.ms.min,
  };
}

/** Runs one process of a side. @throws Failure with what it said when it fails or prints no report. */
export function runSide(name: string, side: Side): Promise<SideReport> {
  return new Promise((resolve, reject) => {
    const child = spawn(side.command, side.args, {
      env: { ...process.env, ...side.env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    child.on('error', reject);
    child.on('close', (code, signal) => {
      const parsed = code === 0 ? SideReport.safeParse(lastLine(stdout)) : undefined;
      if (parsed?.success) {
        resolve(parsed.data);
        return;
      }
      const why = code === 0 ? 'printed no report as its last line' : `ended with ${signal ?? `status ${code ?? '?'}`}`;
      reject(new Failure('bench-side', `The side '${name}' ${why}; it said:\n${(stderr || stdout).trim()}`));
    });
  });
}

/** The last line of a program's output as JSON; undefined where it is none. */
export function lastLine(text: string): unknown {
  try {
    return JSON.parse(text.trimEnd().split('\n').at(-1) ?? '');
  } catch {
    return undefined;
  }
}

/**
 * Runs every side `repeats` times, interleaved (one process of each, then the next round, every other round backwards),
 * so that what slows the machine for a while slows all alike.
 */
export async function measureSides(
  sides: Readonly<Record<string, Side>>,
  repeats: number,
  onProgress: (line: string) => void,
): Promise<Record<string, SideSummary>> {
  const [load = 0] = loadavg();
  if (load > 0.5)
    onProgress(`The machine is busy (load ${load.toFixed(1)}): trust the fastest steps, not the medians.`);
  const reports = new Map<string, SideReport[]>(Object.keys(sides).map((name) => [name, []]));
  for (let round = 0; round < repeats; round++) {
    const order = Object.entries(sides).filter(([, side]) => round < (side.repeats ?? repeats));
    for (const [name, side] of round % 2 === 0 ? order : order.toReversed()) {
      const report = await runSide(name, side);
      reports.get(name)!.push(report);
      const { median } = spread(report.ms);
      onProgress(`round ${round + 1} of ${repeats}  ${name}  ${median.toFixed(1)} ms`);
    }
  }
  return Object.fromEntries([...reports].map(([name, list]) => [name, summarize(list)]));
}

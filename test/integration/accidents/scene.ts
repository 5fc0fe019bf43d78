/** A set of pictures, a ViT and workspaces to which accidents happen, all small: what is tested is what is left of them. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join, relative } from 'node:path';
import { expect } from 'vitest';
import { z } from 'zod';
import { writePlainVit } from '../../../src-main/backbone/plain-vit.ts';
import { writeOrientationSet } from '../../../src-main/data/sample/orientation.ts';
import { resultSchema, type RunResult } from '../../../src-main/training/run-folder.ts';
import { runCli, type Ended, type HowToRun } from '../cli/run-cli.ts';

export const SETTINGS = ['--method', 'last', '--rank', '4', '--epochs', '30', '--drop-path', '0.1', '--lr', '3e-3'];

export interface Pictures {
  train?: number;
  val?: number;
  test?: number;
}

export class Scene {
  private constructor(
    readonly folder: string,
    readonly dataset: string,
    readonly backbone: string,
  ) {}

  static async set({ train = 96, val = 32, test = 32 }: Pictures = {}): Promise<Scene> {
    const folder = await mkdtemp(join(tmpdir(), 'accidents-'));
    const scene = new Scene(folder, join(folder, 'hearts'), join(folder, 'vit.onnx'));
    await writeOrientationSet(scene.dataset, { train, val, test, size: 48, seed: 2 });
    await writeFile(scene.backbone, writePlainVit({ size: 32, width: 48, blocks: 3, seed: 5 }));
    return scene;
  }

  async clear(): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
  }

  path(name: string): string {
    return join(this.folder, name);
  }

  /** A workspace that begins as a copy of another, without some of its folders. */
  async copy(from: string, to: string, ...without: string[]): Promise<void> {
    await cp(this.path(from), this.path(to), { recursive: true });
    for (const name of without) await rm(join(this.path(to), name), { recursive: true, force: true });
  }

  /** The command on a workspace, with --json. It may fail, but never with a stack trace. */
  async run(workspace: string, args: readonly string[], how: HowToRun = {}): Promise<Ended> {
    const ended = await runCli([...args, '--workspace', this.path(workspace), '--json'], how);
    expect(ended.stderr + ended.stdout).not.toMatch(/\n\s+at |Internal error/);
    return ended;
  }

  /** As `run`, and it has to succeed. */
  async succeed(workspace: string, args: readonly string[], how: HowToRun = {}): Promise<Ended> {
    const ended = await this.run(workspace, args, how);
    expect(ended.code, ended.stderr).toBe(0);
    return ended;
  }

  /** As `run`, and it has to fail with one sentence. */
  async fail(
    workspace: string,
    args: readonly string[],
    how: HowToRun = {},
  ): Promise<{ code: string; message: string }> {
    const ended = await this.run(workspace, args, how);
    expect(ended.code, ended.stdout).toBeGreaterThan(0);
    const { error } = z.object({ error: z.object({ code: z.string(), message: z.string() }) }).parse(ended.json);
    expect(error.message).toMatch(/^[^\n]+$/);
    expect(ended.stderr.trimEnd().split('\n').at(-1)).toBe(error.message);
    return error;
  }

  trainArgs(...more: string[]): string[] {
    return ['train', '--dataset', this.dataset, '--backbone', this.backbone, '--threads', '1', ...SETTINGS, ...more];
  }

  async train(workspace: string, ...more: string[]): Promise<RunResult> {
    return resultSchema.parse((await this.succeed(workspace, this.trainArgs(...more))).json);
  }

  async resume(workspace: string, run: string): Promise<RunResult> {
    return resultSchema.parse((await this.succeed(workspace, ['train', '--resume', run])).json);
  }

  runs(workspace: string): string[] {
    const runs = join(this.path(workspace), 'runs');
    return existsSync(runs) ? readdirSync(runs).filter((run) => existsSync(join(runs, run, 'config.json'))) : [];
  }

  /** A file of a workspace's first run. */
  runFile(workspace: string, file: string): string {
    return join(this.path(workspace), 'runs', this.runs(workspace)[0] ?? 'none', file);
  }

  epochsDone(workspace: string): number {
    const metrics = this.runFile(workspace, 'metrics.jsonl');
    return existsSync(metrics) ? readFileSync(metrics, 'utf8').split('\n').length - 1 : 0;
  }
}

/** Paths below a folder, of files only, sorted. */
export async function filesBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
    .sort();
}

/** What of a run's or an export's outcome has to repeat: bytes, but for times, sizes of memory and the run's id. */
export async function traceOf(folder: string): Promise<Record<string, string>> {
  const trace: Record<string, string> = {};
  for (const file of await filesBelow(folder)) {
    // What took how long, and who holds what: no part of an outcome.
    if (/^(seconds\.json|(trainer\.)?lock)$/.test(basename(file))) continue;
    const bytes = await readFile(join(folder, file));
    if (/\.(jsonl?|md)$/.test(file)) trace[file] = withoutTimes(bytes.toString());
    else trace[file] = bytes.toString('base64');
  }
  return trace;
}

function withoutTimes(text: string): string {
  return text
    .replaceAll(/"(seconds|rssBytes|peakRssBytes|created|checksum)":\s*(\{[^}]*\}|"[^"]*"|[\d.e+-]+)/g, '"$1"')
    .replaceAll(/\d{8}-\d{6}(-\d+)?/g, 'TIME')
    .replaceAll(/\d{4}-\d{2}-\d{2}(T[\d:.]+Z)?/g, 'DATE');
}

/** Waits until something is so; gives up with the process that it is about. */
export async function until(isSo: () => boolean, stop: () => boolean = () => false): Promise<void> {
  while (!isSo() && !stop()) await new Promise((resolve) => setTimeout(resolve, 5));
}

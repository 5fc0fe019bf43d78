/** A small ViT, a small set of hearts and a folder of workspaces, for tests of the whole command. */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { writePlainVit } from '../../src-main/backbone/plain-vit.ts';
import { writeOrientationSet } from '../../src-main/data/sample/orientation.ts';
import { epochSchema, resultSchema, type RunResult } from '../../src-main/training/run-folder.ts';
import { parseSealed } from '../../src-main/workspace/record.ts';
import { runCli } from './cli/run-cli.ts';

export const VAL = 48;
export const TEST = 64;

export class Stage {
  private constructor(
    readonly folder: string,
    readonly dataset: string,
    readonly backbone: string,
  ) {}

  static async set(): Promise<Stage> {
    const folder = await mkdtemp(join(tmpdir(), 'training-'));
    const stage = new Stage(folder, join(folder, 'hearts'), join(folder, 'vit.onnx'));
    await writeOrientationSet(stage.dataset, { train: 160, val: VAL, test: TEST, seed: 2 });
    await writeFile(stage.backbone, writePlainVit({ blocks: 4, seed: 5 }));
    return stage;
  }

  async clear(): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
  }

  workspace(name: string): string {
    return join(this.folder, name);
  }

  trainArgs(workspace: string, ...more: string[]): string[] {
    const where = ['--workspace', this.workspace(workspace), '--json'];
    return ['train', ...where, '--dataset', this.dataset, '--backbone', this.backbone, '--threads', '1', ...more];
  }

  /** Trains to the end. */
  async train(workspace: string, ...more: string[]): Promise<RunResult> {
    const ended = await runCli(this.trainArgs(workspace, ...more));
    expect(ended.stderr + ended.stdout).not.toContain('    at ');
    expect(ended.code, ended.stderr).toBe(0);
    return resultSchema.parse(ended.json);
  }

  runFolder(workspace: string, run: string): string {
    return join(this.workspace(workspace), 'runs', run);
  }

  /** Epochs in the metrics of a workspace's first run. */
  epochsDone(workspace: string): number {
    const runs = join(this.workspace(workspace), 'runs');
    const [run] = existsSync(runs) ? readdirSync(runs) : [];
    const metrics = run ? join(runs, run, 'metrics.jsonl') : '';
    return existsSync(metrics) ? readFileSync(metrics, 'utf8').split('\n').length - 1 : 0;
  }

  async untilEpoch(workspace: string, epoch: number): Promise<void> {
    while (this.epochsDone(workspace) < epoch) await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

export async function hashOf(path: string): Promise<string> {
  return createHash('sha256')
    .update(await readFile(path))
    .digest('hex');
}

/** What of metrics.jsonl has to repeat. */
export async function epochsOf(path: string) {
  const lines = (await readFile(path, 'utf8')).trimEnd().split('\n');
  return lines
    .map((line) => epochSchema.parse(parseSealed(line)))
    .map(({ epoch, loss, val }) => ({ epoch, loss, val }));
}

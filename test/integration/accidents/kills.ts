/** Kills of the command at random moments of its three long phases, and what comes of starting again. */
import type { ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { generatorFor, uniform } from '../../../src-main/training/random.ts';
import { signalTree } from './processes.ts';
import { filesBelow, traceOf, until, type Scene } from './scene.ts';

export const PHASES = ['extraction', 'training', 'export'] as const;
export type Phase = (typeof PHASES)[number];

/** A row of the kill log. */
export interface Kill {
  phase: Phase;
  /** Of the phase's usual length. */
  share: number;
  /** Whether its children were killed too; else they are left to notice. */
  tree: boolean;
  milliseconds: number;
  onDisk: string;
  resumedTo: string;
  equal: boolean;
}

/** An undisturbed training and export, and how long their phases took. */
export interface Reference {
  milliseconds: Record<Phase, number>;
  features: Record<string, string>;
  run: Record<string, string>;
  exported: Record<string, string>;
}

const WHOLE = 'whole';

/** Shares of a phase at which it is to be killed: the same ones for the same seed. */
export function moments(phase: Phase, count: number, seed = 7): { share: number; tree: boolean }[] {
  const random = generatorFor(seed, PHASES.indexOf(phase));
  return Array.from({ length: count }, (_, index) => ({
    share: uniform(random),
    tree: (index + PHASES.indexOf(phase)) % 2 === 1,
  }));
}

export async function undisturbed(scene: Scene): Promise<Reference> {
  const begun: Record<Phase, number> = { extraction: 0, training: 0, export: 0 };
  const watch = setInterval(() => {
    for (const phase of PHASES)
      if (begun[phase] === 0 && hasBegun(scene, WHOLE, phase)) begun[phase] = performance.now();
  }, 5);
  const result = await scene.train(WHOLE);
  const trained = performance.now();
  await scene.succeed(WHOLE, exportArgs(scene, WHOLE, result.run)).finally(() => clearInterval(watch));
  const exported = performance.now();
  return {
    milliseconds: {
      extraction: begun.training - begun.extraction,
      training: trained - begun.training,
      export: exported - begun.export,
    },
    features: await traceOf(join(scene.path(WHOLE), 'features')),
    run: await runTrace(scene, WHOLE),
    exported: await traceOf(outOf(scene, WHOLE)),
  };
}

/** Kills one phase in a workspace of its own, starts again, and compares with the undisturbed one. */
export async function kill(
  scene: Scene,
  reference: Reference,
  phase: Phase,
  { share, tree }: { share: number; tree: boolean },
): Promise<Kill> {
  const workspace = `${phase}-${share.toFixed(4)}`;
  if (phase === 'extraction') await scene.copy(WHOLE, workspace, 'features', 'runs');
  else if (phase === 'training') await scene.copy(WHOLE, workspace, 'runs');
  else await scene.copy(WHOLE, workspace);
  const args = phase === 'export' ? exportArgs(scene, workspace, scene.runs(workspace)[0]!) : scene.trainArgs();
  const milliseconds = share * reference.milliseconds[phase];
  await scene.run(workspace, args, {
    onStart: (child) => void killAfter(child, () => hasBegun(scene, workspace, phase), milliseconds, tree),
  });
  const row = { phase, share, tree, milliseconds, onDisk: await whatIsThere(scene, workspace, phase, reference) };
  const resumedTo = await startAgain(scene, workspace, phase, args);
  const differences = await compare(scene, workspace, phase, reference);
  expect(differences, `${phase} killed at ${share}: ${row.onDisk}`).toEqual([]);
  await rm(scene.path(workspace), { recursive: true });
  await rm(outOf(scene, workspace), { recursive: true, force: true });
  return { ...row, resumedTo, equal: differences.length === 0 };
}

async function killAfter(child: ChildProcess, begun: () => boolean, milliseconds: number, tree: boolean) {
  const ended = () => child.exitCode !== null || child.signalCode !== null;
  await until(begun, ended);
  await new Promise((resolve) => setTimeout(resolve, milliseconds));
  if (ended()) return;
  if (tree) signalTree(child.pid!, 'SIGKILL');
  else child.kill('SIGKILL');
}

function hasBegun(scene: Scene, workspace: string, phase: Phase): boolean {
  if (phase === 'extraction') return existsSync(join(scene.path(workspace), 'features'));
  if (phase === 'training') return scene.runs(workspace).length > 0;
  return existsSync(outOf(scene, workspace));
}

const outOf = (scene: Scene, workspace: string): string => scene.path(`${workspace}-out`);

function exportArgs(scene: Scene, workspace: string, run: string): string[] {
  return ['export', run, '--out', outOf(scene, workspace)];
}

/** Goes on as somebody would who sees what is there. @returns in words */
async function startAgain(scene: Scene, workspace: string, phase: Phase, args: readonly string[]): Promise<string> {
  const [run] = phase === 'export' ? [] : scene.runs(workspace);
  if (run !== undefined && !existsSync(scene.runFile(workspace, 'result.json'))) {
    const before = scene.epochsDone(workspace);
    const { epochs } = await scene.resume(workspace, run);
    return `--resume, ${before} to ${epochs} epochs`;
  }
  if (run !== undefined) return 'nothing: it was done';
  await scene.succeed(workspace, args);
  return 'the same command';
}

async function compare(scene: Scene, workspace: string, phase: Phase, reference: Reference): Promise<string[]> {
  const pairs: [Record<string, string>, Record<string, string>][] =
    phase === 'export'
      ? [[await traceOf(outOf(scene, workspace)), reference.exported]]
      : [
          [await traceOf(join(scene.path(workspace), 'features')), reference.features],
          [await runTrace(scene, workspace), reference.run],
        ];
  return pairs.flatMap(([found, expected]) =>
    [...new Set([...Object.keys(found), ...Object.keys(expected)])].filter((file) => found[file] !== expected[file]),
  );
}

async function runTrace(scene: Scene, workspace: string): Promise<Record<string, string>> {
  const trace = await traceOf(join(scene.path(workspace), 'runs', scene.runs(workspace)[0]!));
  // The checkpoint's metadata has the run's id; the log has times, and what was exported is another phase's.
  const apart = ['checkpoint.safetensors', 'log.jsonl', 'exports.json'];
  return Object.fromEntries(Object.entries(trace).filter(([file]) => !apart.includes(file)));
}

const isUnfinished = (file: string): boolean => /\.(tmp|part)$/.test(file);

/** What the kill has left, in words. Whatever bears its final name must be whole. */
async function whatIsThere(scene: Scene, workspace: string, phase: Phase, reference: Reference): Promise<string> {
  const count = (files: readonly string[]) => {
    const halves = files.filter(isUnfinished).length;
    return `${files.length - halves} whole, ${halves} temporary`;
  };
  const folder = phase === 'export' ? outOf(scene, workspace) : join(scene.path(workspace), 'features');
  const found = await traceOf(folder);
  const expected = phase === 'export' ? reference.exported : reference.features;
  for (const [file, bytes] of Object.entries(found))
    if (!isUnfinished(file)) expect(bytes === expected[file], `${file} after the kill is what it should be`).toBe(true);
  const files = count(Object.keys(found));
  if (phase === 'export') return `export: ${files}`;
  const [run] = scene.runs(workspace);
  if (run === undefined) return `features: ${files}; no run`;
  const beside = await filesBelow(join(scene.path(workspace), 'runs', run));
  const has = (name: string, words: string) => (beside.includes(name) ? [words] : []);
  return [
    `features: ${files}; run: ${scene.epochsDone(workspace)} epochs in metrics`,
    ...has('checkpoint.safetensors', 'checkpoint'),
    ...has('best.safetensors', 'best'),
    ...has('result.json', 'result'),
    `${beside.filter((file) => file.endsWith('.tmp')).length} temporary`,
  ].join(', ');
}

/** The log as a Markdown table. */
export function killLog(kills: readonly Kill[]): string {
  const rows = kills.map(({ phase, share, tree, milliseconds, onDisk, resumedTo, equal }, index) => [
    String(index + 1),
    phase,
    `${Math.round(milliseconds)} ms (${Math.round(100 * share)} %)`,
    tree ? 'all processes' : 'the command',
    onDisk,
    resumedTo,
    equal ? 'yes' : 'NO',
  ]);
  const header = ['#', 'phase', 'moment', 'killed', 'on disk', 'went on with', 'equal'];
  return [header, header.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n');
}

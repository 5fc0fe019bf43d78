/** What the embedded backbone's features are worth, in top-1 on test images, beside those of others. */
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { SHAPES_VIT } from '../../resources/backbone/pretraining/vit.ts';
import { embeddedFile } from '../../src-main/backbone/embedded.ts';
import { writePlainVit } from '../../src-main/backbone/plain-vit.ts';
import { writeOrientationSet } from '../../src-main/data/sample/orientation.ts';
import { train } from '../../src-main/studio/train.ts';
import type { Method } from '../../src-main/training/settings.ts';
import { Workspace } from '../../src-main/workspace/workspace.ts';
import { writePixelsVit } from './pixels-vit.ts';

const METHODS: readonly Method[] = ['last', 'miet', 'linear'];
const shared = process.env.SIDETUNE_SHARED ?? path.resolve(import.meta.dirname, '../../../shared');
const SETS = ['signs10', 'clothing10', 'caltech101'];

export type MethodScores = Record<Method, number>;

/** By set, then by backbone: top-1 of every method with its defaults, seed 1. */
export type BackboneScores = Record<string, Record<string, MethodScores>>;

/**
 * Trains every method on every set there is (the demo's hearts, and the shared ones where they lie) with the features of
 * the embedded backbone, of the same ViT with random weights, of plain pixels, and of ViT-Ti where it is.
 * @param only the sets and the backbones wanted; all when left out
 */
export async function measureBackbones(
  log: (line: string) => void,
  only: { sets?: readonly string[]; backbones?: readonly string[] } = {},
): Promise<BackboneScores> {
  const folder = await mkdtemp(path.join(tmpdir(), 'backbone-bench-'));
  try {
    const workspace = await Workspace.open(path.join(folder, 'workspace'));
    const backbones = pick(await writeBackbones(folder), only.backbones);
    const scores: BackboneScores = {};
    for (const [set, dataset] of Object.entries(pick(await findSets(folder), only.sets))) {
      scores[set] = {};
      for (const [name, backbone] of Object.entries(backbones)) {
        const own: Partial<MethodScores> = {};
        for (const method of METHODS) {
          const settings = name === 'pixels' ? ({ method, pool: 'mean' } as const) : { method };
          const { test } = await train(workspace, { dataset, backbone, settings });
          own[method] = test!.top1;
          log(`${set}, ${name}, ${method}: ${(100 * own[method]).toFixed(1)} %`);
        }
        scores[set][name] = own as MethodScores;
      }
    }
    return scores;
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function findSets(folder: string): Promise<Record<string, string>> {
  const hearts = path.join(folder, 'hearts');
  await writeOrientationSet(hearts);
  const found = SETS.map((name) => [name, path.join(shared, 'data', name)] as const);
  return { hearts, ...Object.fromEntries(found.filter(([, place]) => existsSync(place))) };
}

async function writeBackbones(folder: string): Promise<Record<string, string>> {
  const random = path.join(folder, 'random.onnx');
  await writeFile(random, writePlainVit(SHAPES_VIT));
  const pixels = path.join(folder, 'pixels.onnx');
  await writeFile(pixels, writePixelsVit());
  const teacher = path.join(shared, 'models', 'vit_tiny_patch16_224.onnx');
  return { embedded: embeddedFile(), random, pixels, ...(existsSync(teacher) ? { teacher } : {}) };
}

function pick(all: Record<string, string>, wanted: readonly string[] | undefined): Record<string, string> {
  return Object.fromEntries(Object.entries(all).filter(([name]) => wanted?.includes(name) ?? true));
}

/** A Markdown table. */
export function backboneTable(scores: BackboneScores): string {
  const order = ['linear', 'miet', 'last'] as const;
  const rows = Object.entries(scores).flatMap(([set, sides]) =>
    Object.entries(sides).map(([side, own]) => [set, side, ...order.map((method) => (100 * own[method]).toFixed(1))]),
  );
  return [['set', 'features', ...order], ['-', '-', '-:', '-:', '-:'], ...rows]
    .map((row) => `| ${row.join(' | ')} |`)
    .join('\n');
}

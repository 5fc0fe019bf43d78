/** The whole of the studio in one go: sample images, a small ViT, three methods, an export that is checked. */
import { join } from 'node:path';
import { exists } from '../base/exists.ts';
import { writePlainVit } from '../backbone/plain-vit.ts';
import { writeOrientationSet } from '../data/sample/orientation.ts';
import type { ExportResult } from '../export/export-run.ts';
import { exportRun } from '../export/export-run.ts';
import type { RunResult } from '../training/run-folder.ts';
import type { Method } from '../training/settings.ts';
import { writeFileAtomic } from '../workspace/atomic.ts';
import type { Workspace } from '../workspace/workspace.ts';
import { train } from './train.ts';
import type { TrainOptions } from './train.ts';

export interface Demo {
  runs: RunResult[];
  export: ExportResult;
}

export interface DemoListener extends TrainOptions {
  /** What is about to happen, as a sentence. */
  onStep?: (sentence: string) => void;
}

/** LAST first: MIET and the linear probe find all that they read in what it has extracted. */
const TRAINED: readonly Method[] = ['last', 'miet', 'linear'];
/** From the fewest parameters on. */
const SHOWN: readonly Method[] = ['linear', 'miet', 'last'];

/** Trains LAST, MIET and linear on generated images, and exports LAST. Generated files are kept for the next time. */
export async function runDemo(workspace: Workspace, { onStep, ...options }: DemoListener = {}): Promise<Demo> {
  const samples = join(workspace.root, 'samples');
  const dataset = await sampleImages(samples, options);
  const backbone = await sampleBackbone(samples);
  onStep?.(
    'The backbone of this demo is a small ViT with random weights: its features are worth what random ones are.',
  );
  const trained = new Map<Method, RunResult>();
  for (const method of TRAINED) {
    options.signal?.throwIfAborted();
    onStep?.(`Training ${method} on hearts in 16 orientations.`);
    trained.set(method, await train(workspace, { dataset, backbone, settings: { method } }, options));
  }
  const runs = SHOWN.map((method) => trained.get(method)!);
  const { run } = trained.get('last')!;
  onStep?.(`Exporting ${run} and comparing it with the predictions made here.`);
  const out = join(workspace.root, 'exports', run);
  return { runs, export: await exportRun(workspace, { run, out }, options) };
}

/** The folder of the orientation sample set, written where it is missing. */
async function sampleImages(samples: string, options: TrainOptions): Promise<string> {
  const folder = join(samples, 'orientation');
  // The list that is written last.
  if (!(await exists(join(folder, 'train800.txt')))) await writeOrientationSet(folder, {}, options);
  return folder;
}

async function sampleBackbone(samples: string): Promise<string> {
  const file = join(samples, 'plain_vit_random.onnx');
  if (!(await exists(file))) await writeFileAtomic(file, writePlainVit());
  return file;
}

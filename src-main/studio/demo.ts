/** The whole of the studio in one go: sample images, a small ViT, three methods, a sweep, an export that is checked. */
import { join } from 'node:path';
import { aboutEmbedded, EMBEDDED_BACKBONE, readEmbedded } from '../backbone/embedded.ts';
import type { ExportResult } from '../export/export-run.ts';
import type { RunResult } from '../training/run-folder.ts';
import type { Method, SettingsChoice } from '../training/settings.ts';
import type { Workspace } from '../workspace/workspace.ts';
import { exportRun } from './export.ts';
import { startSweep, type SweepAnswer, type SweepRequest } from './sweeps/run-sweep.ts';
import { sampleImages } from './datasets/sample.ts';
import { train } from './train.ts';
import type { TrainOptions } from './train.ts';

export interface Demo {
  runs: RunResult[];
  sweep: SweepAnswer;
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

/**
 * Beside the defaults: on 800 pictures, and a backbone as narrow as this one, LAST wants a higher learning rate and
 * something against learning them by heart: by val top-1, one seed. The other two are not tuned.
 */
const SETTINGS: Record<Method, SettingsChoice> = {
  linear: { method: 'linear' },
  miet: { method: 'miet' },
  last: { method: 'last', learningRate: 3e-3, dropPath: 0.2, labelSmoothing: 0.1 },
};

/** Four trials, and few epochs: it shows what a sweep is in less time than one of the runs above. */
const SWEPT: Pick<SweepRequest, 'space' | 'settings'> = {
  space: { learningRate: [1e-3, 3e-3], rank: [8, 16] },
  settings: { method: 'miet', epochs: 10 },
};

/** Trains LAST, MIET and linear on generated images, sweeps MIET, and exports LAST. Generated files are kept for the next time. */
export async function runDemo(workspace: Workspace, { onStep, ...options }: DemoListener = {}): Promise<Demo> {
  const { onProgress, onRemark, signal } = options;
  const dataset = await sampleImages(workspace, options);
  const backbone = EMBEDDED_BACKBONE;
  const about = aboutEmbedded(await readEmbedded());
  onStep?.(`The backbone is ${backbone}, a small ViT, ${about ?? 'of unknown origin'}.`);
  const trained = new Map<Method, RunResult>();
  for (const method of TRAINED) {
    options.signal?.throwIfAborted();
    onStep?.(`Training ${method} on hearts in 16 orientations.`);
    trained.set(method, await train(workspace, { dataset, backbone, settings: SETTINGS[method] }, options));
  }
  const runs = SHOWN.map((method) => trained.get(method)!);
  onStep?.('A sweep: four settings of miet side by side, ten epochs each, over the features that are there.');
  const sweep = await startSweep(workspace, { dataset, backbone, ...SWEPT }, { onProgress, onRemark, signal });
  const { run } = trained.get('last')!;
  onStep?.(`Exporting ${run} and comparing it with the predictions made here.`);
  const out = join(workspace.root, 'exports', run);
  return { runs, sweep, export: await exportRun(workspace, { run, out }, options) };
}

// A short run on generated pictures, exported in both forms: how far their logits are from the app's own. The export
// itself refuses to write what is beyond its tolerance.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writePlainVit } from '../../../src-main/backbone/plain-vit.ts';
import { writeOrientationSet } from '../../../src-main/data/sample/orientation.ts';
import { exportRun } from '../../../src-main/export/export-run.ts';
import { train } from '../../../src-main/studio/train.ts';
import { Workspace } from '../../../src-main/workspace/workspace.ts';
import { report, timeSteps } from '../side.ts';

const threads = Number(process.env.BENCH_THREADS ?? 1);
const folder = await mkdtemp(join(tmpdir(), 'export-'));
try {
  const workspace = await Workspace.open(join(folder, 'workspace'));
  const dataset = join(folder, 'pictures');
  const backbone = join(folder, 'vit.onnx');
  await writeOrientationSet(dataset, { train: 160, val: 64, test: 0 });
  await writeFile(backbone, writePlainVit());
  const settings = { method: 'last', epochs: 5, learningRate: 3e-3 } as const;
  const { run } = await train(workspace, { dataset, backbone, settings, threads, noTest: true });
  const figures: Record<string, number> = {};
  const times = await timeSteps(
    async () => {
      const { parity } = await exportRun(workspace, { run, out: join(folder, 'out') });
      figures.adaptor = parity.adaptor!.maxAbsLogit;
      figures.merged = parity.merged!.maxAbsLogit;
      figures.top1Changes = parity.merged!.top1Changes;
    },
    { warmUps: 0, steps: 1 },
  );
  report(times, { figures });
} finally {
  await rm(folder, { recursive: true });
}

// usage: extract-vit-b.ts [--images N]
// What the extraction of LAST's features takes with a ViT-B/16 of random weights, decoding and cache included:
// milliseconds an image, from the first batch on; core time is that of the ViT's process, without the decoder's. Threads come from BENCH_THREADS.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { writePlainVit } from '../../../src-main/backbone/plain-vit.ts';
import { writeOrientationSet } from '../../../src-main/data/sample/orientation.ts';
import { extractFeatures } from '../../../src-main/features/extract.ts';
import { resolveBackbone } from '../../../src-main/studio/backbones.ts';
import { resolveDataset } from '../../../src-main/studio/datasets/datasets.ts';
import { Workspace } from '../../../src-main/workspace/workspace.ts';
import { GROUPS } from '../shapes.ts';
import { report } from '../side.ts';

const { values } = parseArgs({ options: { images: { type: 'string', default: '32' } } });
const threads = Number(process.env.BENCH_THREADS ?? 2);
const folder = await mkdtemp(join(tmpdir(), 'extract-'));
try {
  const workspace = await Workspace.open(join(folder, 'workspace'));
  const pictures = join(folder, 'pictures');
  await writeOrientationSet(pictures, { train: Number(values.images), val: 16, test: 0 });
  const { source, images } = await resolveDataset(workspace, pictures);
  const model = join(folder, 'vit_b.onnx');
  await writeFile(model, writePlainVit({ size: 224, patch: 16, width: 768, blocks: GROUPS, heads: 12 }));
  const backbone = await resolveBackbone(workspace, model);
  const maps = Array.from({ length: GROUPS }, (_, index) => ({ kind: 'P' as const, group: 1, index: index + 1 }));
  const seen: { done: number; at: number; cpu: NodeJS.CpuUsage }[] = [];
  await extractFeatures(
    workspace,
    { backbone, source, lists: [images.filter(({ split }) => split === 'train')], maps, threads },
    { onProgress: ({ done }) => seen.push({ done, at: performance.now(), cpu: process.cpuUsage() }) },
  );
  const first = seen.find(({ done }) => done > 0)!;
  const last = seen.at(-1)!;
  const count = last.done - first.done;
  const core = last.cpu.user + last.cpu.system - first.cpu.user - first.cpu.system;
  report({ ms: [(last.at - first.at) / count], coreMs: [core / 1000 / count] }, { images: 1 });
} finally {
  await rm(folder, { recursive: true });
}

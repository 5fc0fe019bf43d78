// usage: edge-device.ts [--images N] [--epochs N]
// MIET trained on a device with features of a served ViT of ViT-B's shape, the device's processes from the outside: the
// most memory that each has held, and that all held together. Threads come from BENCH_THREADS.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { addBackbone } from '../../../src-main/backbone/add-backbone.ts';
import { writePlainVit } from '../../../src-main/backbone/plain-vit.ts';
import { Failure } from '../../../src-main/base/failure.ts';
import { writeOrientationSet } from '../../../src-main/data/sample/orientation.ts';
import { Workspace } from '../../../src-main/workspace/workspace.ts';
import { runCli } from '../../integration/cli/run-cli.ts';
import { startEdge } from '../../integration/edge/edge-process.ts';
import { Watch } from '../watch.ts';

const { values } = parseArgs({
  options: { images: { type: 'string', default: '1000' }, epochs: { type: 'string', default: '2' } },
});
const threads = process.env.BENCH_THREADS ?? '1';
const folder = await mkdtemp(join(tmpdir(), 'edge-device-'));
try {
  const [dataset, vit, there] = [join(folder, 'hearts'), join(folder, 'vit.onnx'), join(folder, 'server')];
  await writeOrientationSet(dataset, { train: Number(values.images), val: 32, test: 32, seed: 1 });
  // Memory of the device depends on tokens and width; one block is enough.
  await writeFile(vit, writePlainVit({ size: 224, patch: 16, width: 768, blocks: 1, heads: 12 }));
  const { name } = await addBackbone(await Workspace.open(there), vit);
  const server = await startEdge(['--workspace', there, '--backbone', name, '--upto', '1', '--threads', threads]);
  const watch = new Watch();
  const begun = performance.now();
  try {
    const where = ['--workspace', join(folder, 'device'), '--dataset', dataset];
    const how = ['--method', 'miet', '--epochs', values.epochs, '--threads', threads];
    const args = ['train', '--json', ...where, '--backbone', `${server.url}/v2/models/${name}`, ...how];
    const { code, stderr } = await runCli(args, { onStart: ({ pid }) => watch.start(pid!) });
    if (code !== 0) throw new Failure('bench-side', `Training on the device failed: ${stderr}`);
  } finally {
    watch.stop();
    await server.stop();
  }
  const ms = [performance.now() - begun];
  console.log(JSON.stringify({ ms, peakRssBytes: watch.largest, figures: { together: watch.together } }));
  console.error(watch.described());
} finally {
  await rm(folder, { recursive: true });
}

/**
 * What keeping features in 8 bits costs and saves: LAST's and MIET's defaults, seed 1, with either cache.
 *
 * `npx tsx test/bench/cache-formats.ts --backbone FILE.onnx --workspace DIR DATASET...`; a line for each run as it ends.
 */
import { parseArgs } from 'node:util';
import { train } from '../../src-main/studio/train.ts';
import { Workspace } from '../../src-main/workspace/workspace.ts';
import { columns } from './table.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { backbone: { type: 'string' }, workspace: { type: 'string' }, threads: { type: 'string', default: '1' } },
});
if (!values.backbone || positionals.length === 0) {
  console.error(
    'usage: tsx test/bench/cache-formats.ts --backbone FILE.onnx [--workspace DIR] [--threads 1] DATASET...',
  );
  process.exit(2);
}
const workspace = await Workspace.open(values.workspace);
const percent = (fraction: number | undefined) => (fraction === undefined ? '-' : (100 * fraction).toFixed(1));
const rows = [['dataset', 'method', 'cache', 'loss', 'val', 'test', 'MB an image', 'train s', 'trainer MB']];
for (const dataset of positionals)
  for (const method of ['last', 'miet'] as const)
    for (const cache of ['fp16', 'int8'] as const) {
      const settings = { method, cache };
      const result = await train(workspace, {
        ...{ dataset, settings, backbone: values.backbone, threads: Number(values.threads) },
      });
      rows.push([
        result.dataset,
        method,
        cache,
        result.loss.toFixed(4),
        percent(result.val?.top1),
        percent(result.test?.top1),
        (result.featureBytesPerImage / 1e6).toFixed(3),
        result.seconds.train.toFixed(0),
        (result.peakRssBytes.trainer / 1e6).toFixed(0),
      ]);
      console.error(rows.at(-1)!.join('  '));
    }
console.log(columns(rows));

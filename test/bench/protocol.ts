/**
 * What the methods reach on given datasets, by a protocol that reads test once: each method's defaults, and the best
 * on val of eight settings a method, chosen with the test split unread (seed 1), then seeds 1 to 3 with it.
 *
 * `npm run bench:protocol -- --backbone FILE.onnx --workspace DIR [--methods last,miet] DATASET...`; what is done is kept in the
 * workspace's protocol.jsonl and not done again.
 */
import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { splitNames } from '../../src-main/data/dataset.ts';
import { extractFeatures } from '../../src-main/features/extract.ts';
import { resolveBackbone } from '../../src-main/studio/backbones.ts';
import { resolveDataset } from '../../src-main/studio/datasets/datasets.ts';
import { train } from '../../src-main/studio/train.ts';
import { resultSchema, type RunResult } from '../../src-main/training/run-folder.ts';
import { METHODS, type Method, type SettingsChoice } from '../../src-main/training/settings.ts';
import { appendJsonLine, readJsonLines } from '../../src-main/workspace/atomic.ts';
import { Workspace } from '../../src-main/workspace/workspace.ts';
import { columns } from './table.ts';

const SEEDS = [1, 2, 3];

/** Eight settings a method; what is not named is the method's default. */
const GRIDS: Record<Method, SettingsChoice[]> = {
  linear: grid('linear', { pool: ['cls', 'mean'], learningRate: [3e-4, 1e-3, 3e-3, 1e-2] }),
  miet: grid('miet', { pool: ['cls', 'mean'], upto: [8, 12], learningRate: [1e-3, 3e-3] }),
  last: grid('last', { pool: ['cls', 'mean'], learningRate: [1e-3, 3e-3], warmStart: ['none', 'linear'] }),
};

function grid(method: Method, axes: Record<string, readonly unknown[]>): SettingsChoice[] {
  let points: Record<string, unknown>[] = [{ method }];
  for (const [name, values] of Object.entries(axes))
    points = points.flatMap((point) => values.map((value) => ({ ...point, [name]: value })));
  return points as unknown as SettingsChoice[];
}

const doneSchema = z.object({ key: z.string(), result: resultSchema });

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    backbone: { type: 'string' },
    workspace: { type: 'string' },
    parallel: { type: 'string', default: '2' },
    methods: { type: 'string', default: METHODS.join(',') },
  },
});
if (!values.backbone || positionals.length === 0) {
  console.error(
    'usage: npm run bench:protocol -- --backbone FILE.onnx [--workspace DIR] [--methods last,miet] [--parallel 2] DATASET...',
  );
  process.exit(2);
}
const backbone = values.backbone;
const methods = z.array(z.enum(METHODS)).parse(values.methods.split(','));
const workspace = await Workspace.open(values.workspace);
const log = join(workspace.root, 'protocol.jsonl');
const known = new Map(
  (await readJsonLines(log)).map((line) => doneSchema.parse(line)).map(({ key, result }) => [key, result]),
);
const { sha256 } = await resolveBackbone(workspace, backbone);

/** Runs all, `parallel` at a time with one thread each; earlier results are taken from the log. */
async function runAll(dataset: string, choices: readonly SettingsChoice[], noTest: boolean): Promise<RunResult[]> {
  const results: RunResult[] = [];
  const waiting = choices.map((settings, index) => ({ settings, index }));
  const worker = async () => {
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      const { settings, index } = next;
      const key = JSON.stringify({ dataset, sha256, noTest, settings });
      let result = known.get(key);
      if (!result) {
        result = await train(workspace, { dataset, backbone, settings, noTest, threads: 1 });
        known.set(key, result);
        await appendJsonLine(log, { key, result });
        const { method, val, test, seconds } = result;
        console.error(
          `${dataset} ${method} ${JSON.stringify(settings)}: val ${percent(val!.top1)} test ${test ? percent(test.top1) : '-'} (${seconds.train.toFixed(0)} s)`,
        );
      }
      results[index] = result;
    }
  };
  await Promise.all(Array.from({ length: Number(values.parallel) }, worker));
  return results;
}

const rows: string[][] = [['dataset', 'method', 'settings', 'val', 'test mean', 'spread', 'seconds', 'trainer MB']];
for (const dataset of positionals) {
  await extractAll(dataset);
  for (const method of methods) {
    const tuned = await runAll(dataset, GRIDS[method], true);
    const best = tuned.reduce((winner, result) => (result.val!.top1 > winner.val!.top1 ? result : winner));
    await addRow(dataset, 'chosen on val', GRIDS[method][tuned.indexOf(best)]!);
  }
}
for (const dataset of positionals) for (const method of methods) await addRow(dataset, 'defaults', { method });
console.log(columns(rows));

/** The features that all runs on a dataset share: LAST's maps serve MIET too. */
async function extractAll(dataset: string): Promise<void> {
  const { source, images } = await resolveDataset(workspace, dataset);
  const found = await resolveBackbone(workspace, backbone);
  const maps = Array.from({ length: found.structure.blocks }, (_, index) => ({
    kind: 'P' as const,
    group: 1,
    index: index + 1,
  }));
  const lists = splitNames.map((split) => images.filter((image) => image.split === split));
  await extractFeatures(workspace, { backbone: found, source, lists, maps });
}

async function addRow(dataset: string, label: string, choice: SettingsChoice): Promise<void> {
  const runs = await runAll(
    dataset,
    SEEDS.map((seed) => ({ ...choice, seed })),
    false,
  );
  const tests = runs.map((run) => run.test!.top1);
  const mean = tests.reduce((sum, top1) => sum + top1, 0) / tests.length;
  const { method, ...shown } = choice;
  rows.push([
    basename(dataset),
    method,
    `${label} ${JSON.stringify(shown)}`,
    runs.map((run) => percent(run.val!.top1)).join(' '),
    percent(mean),
    `${percent(Math.min(...tests))} to ${percent(Math.max(...tests))}`,
    runs[0]!.seconds.train.toFixed(0),
    (Math.max(...runs.map((run) => run.peakRssBytes.trainer)) / 1e6).toFixed(0),
  ]);
}

function percent(fraction: number): string {
  return (100 * fraction).toFixed(1);
}

/** What more transfer buys in accuracy, on the user's own images. */
import { availableParallelism } from 'node:os';
import type { Backbone } from '../../backbone/catalogue.ts';
import type { MapRequest } from '../../backbone/surgery.ts';
import { Failure } from '../../base/failure.ts';
import type { TaskOptions } from '../../base/progress.ts';
import { locate } from '../../data/dataset.ts';
import { bytesDown } from '../../edge/costs.ts';
import { serveBackbones, usualUpto } from '../../edge/server/serve.ts';
import { extractFeatures } from '../../features/extract.ts';
import { ServedVit } from '../../features/served-vit.ts';
import { meanOf, type Mean } from '../../sweep/seeds.ts';
import type { EpochMetrics, RunResult, Score } from '../../training/run-folder.ts';
import type { SettingsChoice } from '../../training/settings.ts';
import type { Workspace } from '../../workspace/workspace.ts';
import { resolveBackbone } from '../backbones.ts';
import { resolveDataset } from '../datasets/datasets.ts';
import { planRun, type RunPlan } from '../plan-run.ts';
import { usualThreads } from '../preferences.ts';
import { checkRecordsPath, writeRecords } from '../records-file.ts';
import type { ServedAccess } from './served-backbones.ts';
import { train } from '../train.ts';

export interface TradeoffRequest {
  dataset: string;
  backbone: string;
  server?: ServedAccess;
  /** A .csv or .json file to write the rows to. */
  out?: string;
  /** Blocks that the sums go up to. */
  upto?: readonly number[];
  /** Of every run, where the method's own are not wanted. */
  settings: Pick<SettingsChoice, 'epochs' | 'limit' | 'seed' | 'batch'>;
  /** Each way is trained with every one of them, in place of the one of the settings. */
  seeds?: readonly number[];
  /** Leaves out LAST on all taps, which takes longest. */
  noTaps?: boolean;
  threads?: number;
}

/** One way to divide the work; scores are those of the epoch that is best on val, the mean where there are several seeds. */
export interface TradeoffRow {
  features: 'cls' | 'sum' | 'taps';
  /** Last block of the sum; the last one for `cls` and `taps`. */
  upto: number;
  datatype: 'fp32' | 'fp16' | 'int8';
  /** Down, as tensors. */
  bytesPerImage: number;
  /** Over the wire with all that goes with them, on this machine's loopback or from the server; pictures up, too. */
  measured: { up: number; down: number };
  val: Score | null;
  test: Score | null;
  /** Of the first seed. */
  run: string;
  /** Where there are several seeds: every run, and the 95 % intervals of the mean top-1. */
  repeats?: { runs: string[]; val: Mean['interval']; test: Mean['interval'] };
}

export interface Tradeoff {
  rows: TradeoffRow[];
  /** Absolute path of the file, where one was asked for. */
  out?: string;
}

interface Plan extends Pick<TradeoffRow, 'features' | 'upto' | 'datatype' | 'bytesPerImage'> {
  settings: SettingsChoice;
  maps: MapRequest[];
  base: boolean;
}

export interface TradeoffOptions extends TaskOptions {
  /** Rows that an earlier part of the job has come to. */
  known?: readonly TradeoffRow[];
  /** Told of each row, those that were known among them. */
  onRow?: (row: TradeoffRow, done: number, total: number) => void;
  onEpoch?: (metrics: EpochMetrics, epochs: number) => void;
}

/** Images that are sent to see what that takes. */
const MEASURED = 8;
const COLUMNS = ['features', 'upto', 'datatype', 'bytesPerImage', 'measuredUp', 'measuredDown', 'val', 'test'];
/** Of a table with several seeds. */
const REPEATED = [...COLUMNS, 'seeds', 'valLow', 'valHigh', 'testLow', 'testHigh'];

/**
 * Trains on the CLS row, on sums up to several blocks and on all taps, the latter in half precision and in 8 bits, and
 * measures what each has to be sent. Runs are kept; features are shared with all other runs.
 * @throws Failure of the records file, `resolveBackbone` and `train`; the signal's reason
 */
export async function edgeTradeoff(
  workspace: Workspace,
  request: TradeoffRequest,
  options: TradeoffOptions = {},
): Promise<Tradeoff> {
  const out = request.out === undefined ? undefined : await checkRecordsPath(request.out);
  const backbone = await resolveBackbone(workspace, request.backbone, request.server);
  const { source, images } = await resolveDataset(workspace, request.dataset, options);
  const plans = plansOf(backbone, request);
  const sample = images.slice(0, MEASURED).map((image) => locate({ source }, image));
  const knownFor = ({ features, upto, datatype }: Plan): TradeoffRow | undefined =>
    options.known?.find((row) => row.features === features && row.upto === upto && row.datatype === datatype);
  const missing = plans.filter((plan) => !knownFor(plan));
  const measured = await withServer(workspace, backbone, async (served) => {
    const found: TradeoffRow['measured'][] = [];
    for (const { maps, base, datatype } of missing) {
      options.signal?.throwIfAborted();
      const storage = datatype === 'int8' ? 'int8' : 'fp16';
      const retry = { signal: options.signal, tryFor: 20 };
      const vit = await ServedVit.open(served, { maps, storage, base, retry });
      try {
        await vit.tap(sample);
        const { up, down } = vit.transferred;
        found.push({ up: Math.round(up / sample.length), down: Math.round(down / sample.length) });
      } finally {
        await vit.close();
      }
    }
    return found;
  });
  const seeds = request.seeds ?? [request.settings.seed ?? 1];
  await extractTogether(workspace, request, missing, seeds, options);
  const rows: TradeoffRow[] = [];
  for (const plan of plans) {
    let row = knownFor(plan);
    if (!row) {
      const { features, upto, datatype, bytesPerImage } = plan;
      const { signal, onProgress, onRemark, onEpoch } = options;
      const results: RunResult[] = [];
      for (const seed of seeds)
        results.push(await train(workspace, runOf(request, plan, seed), { signal, onProgress, onRemark, onEpoch }));
      const found = { features, upto, datatype, bytesPerImage, measured: measured[missing.indexOf(plan)]! };
      row = { ...found, ...scoresOf(results) };
    }
    rows.push(row);
    options.onRow?.(row, rows.length, plans.length);
  }
  if (out === undefined) return { rows };
  await writeRecords(out, seeds.length > 1 ? REPEATED : COLUMNS, rows.map(recordOf));
  return { rows, out };
}

const runOf = ({ dataset, backbone, server, threads }: TradeoffRequest, { settings }: Plan, seed: number) => ({
  ...{ dataset, backbone, server, threads },
  settings: { ...settings, seed },
});

/** What all rows read, in one pass of the ViT for each way of rounding; each run then finds its own in the cache. */
async function extractTogether(
  workspace: Workspace,
  request: TradeoffRequest,
  plans: readonly Plan[],
  seeds: readonly number[],
  { signal, onProgress, onRemark }: TaskOptions,
): Promise<void> {
  const options = { signal, onProgress, onRemark };
  for (const storage of ['fp16', 'int8'] as const) {
    const own = plans.filter(({ datatype }) => (datatype === 'int8') === (storage === 'int8'));
    if (own.length === 0) continue;
    // P_i of group 1 is S_i, in the same file.
    const maps = new Map(own.flatMap((plan) => plan.maps).map((map) => [map.index, map]));
    const runs = [];
    for (const seed of seeds) runs.push(await planRun(workspace, runOf(request, own[0]!, seed), options));
    const [{ backbone, dataset, threads }] = runs as [RunPlan];
    const features = {
      ...{ backbone, threads, storage },
      source: dataset.source,
      lists: runs.flatMap(({ splits }) => [splits.train, splits.val, splits.test]),
      maps: [...maps.values()],
      base: own.some(({ base }) => base),
    };
    await extractFeatures(workspace, features, options);
  }
}

function scoresOf(results: readonly RunResult[]): Pick<TradeoffRow, 'val' | 'test' | 'run' | 'repeats'> {
  const [{ run, val, test }] = results as [RunResult];
  if (results.length === 1) return { val, test, run };
  const over = (split: 'val' | 'test') => {
    const scores = results.map((result) => result[split]).filter((score) => score !== null);
    if (scores.length === 0) return { score: null, interval: null };
    const { mean: top1, interval } = meanOf(scores.map((score) => score.top1));
    return { score: { top1, macro: meanOf(scores.map(({ macro }) => macro)).mean }, interval };
  };
  const means = { val: over('val'), test: over('test') };
  const repeats = { runs: results.map((each) => each.run), val: means.val.interval, test: means.test.interval };
  return { val: means.val.score, test: means.test.score, run, repeats };
}

function plansOf(backbone: Backbone, { upto, settings, noTaps = false }: TradeoffRequest): Plan[] {
  const { structure, served, name } = backbone;
  const { blocks, prefix, width } = structure;
  const offered = served && Object.keys(served.scales).map(Number);
  const sums = [...new Set(upto ?? offered ?? usualUpto(blocks))].sort((a, b) => a - b);
  const beyond = sums.find((k) => k > blocks);
  if (beyond !== undefined)
    throw new Failure('usage', `--upto ${beyond} is beyond the ${blocks} blocks of backbone ${name}.`);
  const pool = prefix > 0 ? ('cls' as const) : ('mean' as const);
  const every = Array.from({ length: blocks }, (_, index) => index + 1);
  const taps = !noTaps && (offered === undefined || every.every((k) => offered.includes(k)));
  const storages = ['fp16', 'int8'] as const;
  return [
    {
      features: 'cls',
      upto: blocks,
      datatype: 'fp32',
      // The mean of the patch tokens has a row of its own beside the CLS row.
      bytesPerImage: bytesDown.cls({ ...structure }) + (prefix > 0 ? 4 * width : 0),
      settings: { ...settings, method: 'linear', pool },
      maps: [],
      base: true,
    },
    ...sums.flatMap((k) =>
      storages.map((datatype): Plan => ({
        features: 'sum',
        upto: k,
        datatype,
        bytesPerImage: datatype === 'int8' ? bytesDown.sumInt8(structure) : bytesDown.sumFp16(structure),
        settings: { ...settings, method: 'miet', upto: k, cache: datatype },
        maps: [{ kind: 'S', index: k }],
        base: false,
      })),
    ),
    ...(taps ? storages : []).map((datatype): Plan => ({
      features: 'taps',
      upto: blocks,
      datatype,
      bytesPerImage:
        (datatype === 'int8' ? bytesDown.tapsInt8(structure) : bytesDown.tapsFp16(structure)) +
        (prefix > 0 ? 4 * width : 0),
      settings: { ...settings, method: 'last', cache: datatype },
      maps: every.map((index) => ({ kind: 'P', group: 1, index })),
      base: true,
    })),
  ];
}

/** The backbone on a server: where it is, else one of this process on loopback for as long as `use` takes. */
async function withServer<T>(
  workspace: Workspace,
  backbone: Backbone,
  use: (served: Backbone) => Promise<T>,
): Promise<T> {
  if (backbone.served) return use(backbone);
  const { blocks } = backbone.structure;
  const upto = Array.from({ length: blocks }, (_, index) => index + 1);
  const threads = (await usualThreads(workspace)) || availableParallelism();
  const server = await serveBackbones({
    backbones: [backbone],
    upto,
    host: '127.0.0.1',
    port: 0,
    threads,
    version: 'tradeoff',
    onDefect: () => undefined,
  });
  try {
    const [model] = server.models;
    const scales = Object.fromEntries(model!.scales);
    const source = `${server.url}/v2/models/${model!.name}`;
    return await use({ ...backbone, source, served: { scales, takesImages: true } });
  } finally {
    await server.close();
  }
}

function recordOf(row: TradeoffRow): Record<string, string | number | null> {
  const { features, upto, datatype, bytesPerImage, measured, val, test, repeats } = row;
  return {
    features,
    upto,
    datatype,
    bytesPerImage,
    measuredUp: measured.up,
    measuredDown: measured.down,
    val: val?.top1 ?? null,
    test: test?.top1 ?? null,
    ...(repeats && {
      seeds: repeats.runs.length,
      ...{ valLow: repeats.val?.low ?? null, valHigh: repeats.val?.high ?? null },
      ...{ testLow: repeats.test?.low ?? null, testHigh: repeats.test?.high ?? null },
    }),
  };
}

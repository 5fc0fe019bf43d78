/** What more transfer buys in accuracy, on the user's own images. */
import { availableParallelism } from 'node:os';
import type { Backbone } from '../../backbone/catalogue.ts';
import type { MapRequest } from '../../backbone/surgery.ts';
import { Failure } from '../../base/failure.ts';
import type { TaskOptions } from '../../base/progress.ts';
import { locate } from '../../data/dataset.ts';
import { bytesDown } from '../../edge/costs.ts';
import { serveBackbones, usualUpto } from '../../edge/server/serve.ts';
import { ServedVit } from '../../features/served-vit.ts';
import type { EpochMetrics, Score } from '../../training/run-folder.ts';
import type { SettingsChoice } from '../../training/settings.ts';
import type { Workspace } from '../../workspace/workspace.ts';
import { resolveBackbone } from '../backbones.ts';
import { resolveDataset } from '../datasets/datasets.ts';
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
  /** Leaves out LAST on all taps, which takes longest. */
  noTaps?: boolean;
  threads?: number;
}

/** One way to divide the work; scores are those of the epoch that is best on val. */
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
  run: string;
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
const COLUMNS = ['features', 'upto', 'datatype', 'bytesPerImage', 'measuredUp', 'measuredDown', 'val', 'test'] as const;

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
  const rows: TradeoffRow[] = [];
  for (const plan of plans) {
    let row = knownFor(plan);
    if (!row) {
      const { settings, features, upto, datatype, bytesPerImage } = plan;
      const { dataset, server, threads } = request;
      const asked = { dataset, backbone: request.backbone, server, threads, settings };
      const { signal, onProgress, onRemark, onEpoch } = options;
      const { run, val, test } = await train(workspace, asked, { signal, onProgress, onRemark, onEpoch });
      row = { features, upto, datatype, bytesPerImage, measured: measured[missing.indexOf(plan)]!, val, test, run };
    }
    rows.push(row);
    options.onRow?.(row, rows.length, plans.length);
  }
  if (out === undefined) return { rows };
  await writeRecords(out, COLUMNS, rows.map(recordOf));
  return { rows, out };
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

function recordOf(row: TradeoffRow): Record<(typeof COLUMNS)[number], string | number | null> {
  const { features, upto, datatype, bytesPerImage, measured, val, test } = row;
  return {
    features,
    upto,
    datatype,
    bytesPerImage,
    measuredUp: measured.up,
    measuredDown: measured.down,
    val: val?.top1 ?? null,
    test: test?.top1 ?? null,
  };
}

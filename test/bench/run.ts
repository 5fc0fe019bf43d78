// usage: npm run bench -- NAME [--json] [--repeats N] [--threads N] [--seconds N] [--whole]; NAME `table` runs all with a
// number to reach; --whole takes the full size where a bench has a small one too.
// Each side runs in processes of its own, interleaved. With --json the last line of stdout is
// {"name","sides":{...},"ratio":{...},"rows":[...]}; progress goes to stderr.
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { Failure } from '../../src-main/base/failure.ts';
import { backboneTable, measureBackbones } from './backbone.ts';
import { benches } from './benches.ts';
import { log, runCommand, wholeNumber } from './command.ts';
import { edgeRows, edgeTable, measureEdge } from './edge.ts';
import { edgeLinkRows, edgeLinkTable, measureEdgeLink } from './edge-link.ts';
import { outcomeJson, outcomeText, runBench, type Bench, type Row } from './outcome.ts';
import { existingPeers } from './peers/python.ts';
import { peersBench } from './peers/peers-bench.ts';
import { measureSweepUi, sweepUiRows } from './sweep-ui.ts';
import { rowsTable } from './table.ts';
import { measureUi, uiRows } from './ui.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    json: { type: 'boolean' },
    repeats: { type: 'string' },
    threads: { type: 'string' },
    sets: { type: 'string' },
    features: { type: 'string' },
    pictures: { type: 'string' },
    seconds: { type: 'string' },
    whole: { type: 'boolean' },
  },
});

await runCommand(values.json, async () => {
  const name = positionals[0] ?? '';
  const threads = wholeNumber('--threads', values.threads ?? String(Math.min(2, availableParallelism())));
  if (name === 'table') return table(threads);
  if (name === 'backbone') return backbones();
  if (name === 'ui') return ui();
  if (name === 'sweep-ui') return sweepUi();
  if (name === 'edge') return edge();
  if (name === 'edge-link') return edgeLink();
  const make = Object.hasOwn(benches, name) ? benches[name] : undefined;
  if (!make)
    throw new Failure(
      'usage',
      `There is no bench '${name}'; there are: ${Object.keys(benches).join(', ')}, backbone, ui, sweep-ui, edge, edge-link, table.`,
    );
  const bench = make(threads, values);
  const outcome = await run(name, bench, threads);
  console.log(outcomeText(bench, outcome));
  if (values.json) console.log(JSON.stringify(outcomeJson(name, bench, outcome)));
});

function run(name: string, bench: Bench, threads: number) {
  log(`${name}: ${bench.about}; ${threads} threads, Node ${process.version}`);
  return runBench(bench, wholeNumber('--repeats', values.repeats ?? String(bench.repeats)), log);
}

/** Top-1 by set and features; --sets and --features name those wanted. */
async function backbones(): Promise<void> {
  const scores = await measureBackbones(log, {
    sets: values.sets?.split(','),
    backbones: values.features?.split(','),
  });
  console.log(backboneTable(scores));
  if (values.json) console.log(JSON.stringify({ name: 'backbone', sides: scores, ratio: {} }));
}

/** The window in a browser; one figure is the median of five. */
async function ui(): Promise<void> {
  const figures = await measureUi(wholeNumber('--repeats', values.repeats ?? '5'), log);
  const rows = uiRows(figures);
  console.log(rowsTable(rows));
  if (values.json) console.log(JSON.stringify({ name: 'ui', sides: figures, ratio: {}, rows }));
}

/** The page of a large sweep in a browser; --pictures FILE.png keeps a picture of it. */
async function sweepUi(): Promise<void> {
  const figures = await measureSweepUi(log, values.pictures);
  const rows = sweepUiRows(figures);
  console.log(rowsTable(rows));
  if (values.json) console.log(JSON.stringify({ name: 'sweep-ui', sides: figures, ratio: {}, rows }));
}

/** A server under load: --seconds of each load, --threads of the ViT. */
async function edge(): Promise<void> {
  const seconds = wholeNumber('--seconds', values.seconds ?? '20');
  const figures = await measureEdge({ seconds, threads: wholeNumber('--threads', values.threads ?? '1') }, log);
  const rows = edgeRows(figures);
  console.log(`${edgeTable(figures)}\n\n${rowsTable(rows)}`);
  if (values.json) console.log(JSON.stringify({ name: 'edge', sides: figures, ratio: {}, rows }));
}

/** Device and server on a slow link, in network namespaces. */
async function edgeLink(): Promise<void> {
  const figures = await measureEdgeLink(log);
  const rows = edgeLinkRows(figures);
  console.log(`${edgeLinkTable(figures)}\n\n${rowsTable(rows)}`);
  if (values.json) console.log(JSON.stringify({ name: 'edge-link', sides: figures, ratio: {}, rows }));
}

/** Every number that is to be reached, side by side with what is reached here. */
async function table(threads: number): Promise<void> {
  const toRun = Object.entries(benches).map(([name, make]): [string, Bench] => [name, make(threads, values)]);
  const python = existingPeers();
  if (python) toRun.unshift(['peers', peersBench(python, { threads }, log).bench]);
  const rows: Row[] = [];
  for (const [name, bench] of toRun) {
    if (!bench.rows) continue;
    try {
      rows.push(...bench.rows(await run(name, bench, threads)));
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      rows.push({ what: name, asked: '', measured: error.message.split('\n')[0]!, reached: null });
    }
  }
  if (!python)
    rows.push({ what: 'PyTorch', asked: '', measured: '`npm run bench:peers` sets it up first', reached: null });
  console.log(rowsTable(rows));
  if (values.json) console.log(JSON.stringify({ name: 'table', sides: {}, ratio: {}, rows }));
}

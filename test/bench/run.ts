// usage: npm run bench -- NAME [--json] [--repeats N] [--threads N]
// Each side runs in processes of its own, interleaved. With --json the last line of stdout is
// {"name","sides":{...},"ratio":{...}}; progress goes to stderr.
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { Failure } from '../../src-main/base/failure.ts';
import { benches } from './benches.ts';
import { measureLimit } from './limit.ts';
import { measureSides, ratio } from './measure.ts';
import { ratiosTable, sidesTable } from './table.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { json: { type: 'boolean' }, repeats: { type: 'string' }, threads: { type: 'string' } },
});

async function main(): Promise<void> {
  const name = positionals[0] ?? '';
  const threads = Number(values.threads ?? Math.min(2, availableParallelism()));
  const make = Object.hasOwn(benches, name) ? benches[name] : undefined;
  if (!make) {
    throw new Failure('usage', `There is no bench '${name}'; there are: ${Object.keys(benches).join(', ')}.`);
  }
  const bench = make(threads);
  const repeats = Number(values.repeats ?? bench.repeats);
  if (!Number.isInteger(threads) || threads < 1 || !Number.isInteger(repeats) || repeats < 1) {
    throw new Failure('usage', '--threads and --repeats want a whole number from 1 on.');
  }

  const log = (line: string) => process.stderr.write(`${line}\n`);
  log(`${name}: ${bench.about}; ${threads} threads, Node ${process.version}`);
  const limit = bench.limitBatch === undefined ? undefined : measureLimit(bench.limitBatch);
  const sides = await measureSides(bench.sides, repeats, log);
  const ratios = Object.fromEntries(
    Object.entries(bench.ratios).map(([key, [other, side]]) => [key, ratio(sides[other]!, sides[side]!)]),
  );
  console.log(`${sidesTable(sides)}\n\n${ratiosTable(ratios)}`);
  if (typeof limit === 'string') console.log(`\nThe limit is left out: ${limit}.`);
  else if (limit) console.log(`\nThe limit, ViT-Ti: ${limit.coreMsPerImage.median} core-ms an image.`);
  if (values.json) {
    const extra = typeof limit === 'object' ? { limit: { coreMsPerImage: limit.coreMsPerImage } } : {};
    console.log(JSON.stringify({ name, sides: { ...sides, ...extra }, ratio: ratios }));
  }
}

try {
  await main();
} catch (error) {
  if (!(error instanceof Failure)) throw error;
  process.stderr.write(`${error.message}\n`);
  if (values.json) console.log(JSON.stringify({ error: { code: error.code, message: error.message } }));
  process.exitCode = error.code === 'usage' ? 2 : 1;
}

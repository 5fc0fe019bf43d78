// usage: npm run bench:peers -- [--json] [--repeats N] [--threads N] [--shape NAME] [--batch N] [--no-lora] [--pypi]
// One optimizer step of LAST in PyTorch on the CPU, plain and low-rank, and LoRA on ViT-B/16, beside our own step and
// the C yardstick. Never needed by users or by `npm test`.
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { log, runCommand, wholeNumber } from './command.ts';
import { outcomeJson, outcomeText, runBench } from './outcome.ts';
import { peersBench } from './peers/peers-bench.ts';
import { peerPython } from './peers/python.ts';

const { values } = parseArgs({
  options: {
    json: { type: 'boolean' },
    repeats: { type: 'string', default: '3' },
    threads: { type: 'string', default: String(Math.min(2, availableParallelism())) },
    shape: { type: 'string', multiple: true },
    batch: { type: 'string', multiple: true },
    'no-lora': { type: 'boolean', default: false },
    pypi: { type: 'boolean', default: false },
  },
});

await runCommand(values.json, async () => {
  const choice = {
    threads: wholeNumber('--threads', values.threads),
    lora: !values['no-lora'],
    ...(values.shape ? { shapes: values.shape } : {}),
    ...(values.batch ? { batches: values.batch.map((batch) => wholeNumber('--batch', batch)) } : {}),
  };
  const repeats = wholeNumber('--repeats', values.repeats);
  const { bench, facts } = peersBench(peerPython({ pypi: values.pypi }, log), choice, log);
  const outcome = await runBench(bench, repeats, log);
  console.log(outcomeText(bench, outcome));
  if (values.json) console.log(JSON.stringify({ ...outcomeJson('peers', bench, outcome), ...facts }));
});
